"""The load of a soak with faults, and what is read from its samples."""

import itertools
from typing import Any

import orjson
import pytest

from loadtest.chats import SAMPLE_CHATS, ChatPool
from loadtest.soak.fault_fleet import Sizes
from loadtest.soak.fault_soak import FaultSoakPlan, growth, invariants_held, soak_events
from testkit.records import InputRecord

PLAN = FaultSoakPlan(duration_s=60, rate_per_s=10, n_chats=40, new_ratio=0.3, seed=3)


def events() -> list[InputRecord]:
    """Return the first events of the plan."""
    pool = ChatPool.read(SAMPLE_CHATS, "run", limit=40)
    return list(itertools.islice(soak_events(pool, PLAN), 2_000))


def test_the_load_repeats_changes_and_breaks_chats_in_a_repeatable_order() -> None:
    """Hits, misses and dead letters, each under the key of its chat, so that order can be checked."""
    found = events()
    assert found == events()
    good: dict[bytes | None, list[bytes]] = {}
    n_bad = 0
    for record in found:
        try:
            value = orjson.loads(record.value or b"")
            good.setdefault(record.key, []).append(orjson.dumps(value["messages"]))
            assert value["chat_id"].encode() == record.key
        except (orjson.JSONDecodeError, KeyError):
            n_bad += 1
    assert 10 < n_bad < 100
    assert len(good) == PLAN.n_chats
    repeated = sum(one == other for texts in good.values() for one, other in itertools.pairwise(texts))
    changed = sum(one != other for texts in good.values() for one, other in itertools.pairwise(texts))
    assert changed / (repeated + changed) == pytest.approx(PLAN.new_ratio, abs=0.05)


def test_growth_is_taken_after_a_tenth_of_the_run() -> None:
    """Pools and arenas have their size by then; a megabyte every ten seconds is 360 an hour."""
    samples = [(float(at_s), Sizes(100.0 + at_s / 10, 50, 20)) for at_s in range(0, 1_000, 10)]
    found = growth([(0.0, Sizes(10.0, 5, 2)), *samples])
    assert found["rss_slope_mb_per_hour"] == pytest.approx(360)
    assert found["rss_peak_mb"] == found["rss_end_mb"] == 199.0
    assert found["n_fds"] == [50, 50, 50]
    assert found["n_threads"] == [20, 20, 20]


HELD: dict[str, Any] = {
    "n_lost": 0,
    "n_duplicated": 0,
    "n_out_of_order": 0,
    "broken": None,
    "n_went_back": 0,
    "n_redis_looks": 9,
    "n_stale": 0,
    "ended_by_themselves": [],
    "exit_codes": [0, 0],
    "rejections": {"decode_error": 3},
}


@pytest.mark.parametrize(
    "found",
    [
        {"n_lost": 1},
        {"n_duplicated": 1},
        {"n_out_of_order": 1},
        {"broken": "I4: readers disagree"},
        {"n_went_back": 1},
        {"n_redis_looks": 0},
        {"n_stale": 1},
        {"ended_by_themselves": ["exit code 1"]},
        {"exit_codes": [0, 4]},
        {"rejections": {"decode_error": 3, "none": 1}},
    ],
)
def test_each_invariant_that_does_not_hold_ends_the_command_with_another_code(found: dict[str, Any]) -> None:
    """I6 among them, and a Redis that nobody could look at."""
    assert invariants_held(HELD)
    assert not invariants_held(HELD | found)
