"""Replays over the real broker: ranges, resumption, killed processes beside a live worker, and what they report."""

import signal
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis

from schemas import decode_verdict
from testkit.records import Place
from testkit.topics import Topics
from tests.integration.conftest import StartWorker, both_group_protocols
from tests.integration.ledger import LiveLedger
from tests.integration.load import repeated_events, short_events
from tests.integration.replay_rig import TIMEOUT_S, ReplayRig
from worker.cache.values import cache_key

pytestmark = pytest.mark.services

SMALL = {"BATCH__MAX_RECORDS": "40"}


class CacheWatch:
    """Reads the cached verdicts over and over and notes where one went back (I5)."""

    def __init__(self, cache: "redis.Redis", chat_ids: list[str]) -> None:
        self._cache, self._keys = cache, [cache_key(chat_id) for chat_id in chat_ids]
        self.newest: dict[str, int] = {}
        self.went_back: list[str] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stopping.wait(0.01):
            self.look()

    def look(self) -> None:
        """Look once."""
        for key, raw in zip(self._keys, self._cache.mget(self._keys), strict=True):  # type: ignore[arg-type]
            offset = -1 if raw is None else decode_verdict(raw).source.offset
            if offset < self.newest.get(key, -1):
                self.went_back.append(key)
            self.newest[key] = max(offset, self.newest.get(key, -1))

    def close(self) -> None:
        """Stop, and look one last time."""
        self._stopping.set()
        self._thread.join(10)
        self.look()


@pytest.fixture
def n_partitions(request: pytest.FixtureRequest) -> int:
    """Return twelve partitions where a test asks for them, else four."""
    return 12 if "twelve_partitions" in request.keywords else 4


@pytest.fixture
def judged_live(ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]) -> None:
    """Send 60 chats and let a live worker judge them; it is gone when the test begins."""
    ledger.send(sample_chats[:60])
    worker = start_worker()
    ledger.wait_complete()
    assert worker.stop() == 0


@both_group_protocols
@pytest.mark.twelve_partitions
@pytest.mark.chaos
def test_a_replay_whose_processes_are_killed_beside_a_live_worker_is_complete_and_repeats_nothing(
    *,
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    replays: ReplayRig,
    sample_chats: list[dict[str, Any]],
) -> None:
    """The promise of the command, and F23: another group, the same chats, and the cache never goes back."""
    chats = [chat for chat in sample_chats if chat["messages"]]
    ledger.send(repeated_events(chats, 3_000, n_chats=40))
    live = start_worker(**SMALL)
    ledger.wait_seen(1_000)
    watch = CacheWatch(cache, [chat["chat_id"] for chat in chats[:40]])
    planned = set(ledger.sent)
    # So slow that they cannot get to the end before the others have come.
    victims = [replays.start("--rate", "20", **SMALL) for _ in range(2)]
    for victim in victims:
        victim.wait_for("batch_done")
    heirs = [replays.start(**SMALL) for _ in range(2)]
    heirs[0].wait_until_it_owns_partitions()
    for victim in victims:
        victim.kill()
    ledger.send(repeated_events(chats, 500, n_chats=40))
    assert [heir.wait_exit(timeout_s=TIMEOUT_S) for heir in heirs] == [0, 0], heirs[0].tail()
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert live.stop() == 0
    watch.close()
    judged = replays.judged()
    assert planned <= judged.keys() <= set(ledger.sent)
    for heir in heirs:
        (ended,) = heir.events("replay_ended")
        assert (ended["complete"], ended["n_read"], ended["n_verdicts"]) == (True, len(judged), len(judged))
        assert all(one["n_read"] == one["n_verdicts"] + one["n_dead_letters"] for one in ended["partitions"])
    assert watch.went_back == []
    last = {orjson.loads(sent.value or b"")["chat_id"]: place.offset for place, sent in sorted(ledger.sent.items())}
    assert watch.newest == {cache_key(chat_id): offset for chat_id, offset in last.items()}


def test_a_replay_that_is_stopped_goes_on_where_it_was_and_a_finished_one_does_nothing(
    ledger: LiveLedger, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """Exit code 7 tells an orchestrator to start it again; the same id and options are all it takes."""
    ledger.send(short_events(sample_chats, 600, n_chats=50))
    first = replays.start(**SMALL)
    first.wait_for("batch_done", count=2)
    first.send(signal.SIGTERM)
    assert first.wait_exit() == 7, first.tail()
    n_before = len(replays.records())
    assert 0 < n_before < 600
    ledger.send(short_events(sample_chats, 40, n_chats=10))
    ended = replays.run()
    assert (ended["n_read"], ended["n_verdicts"], ended["n_lost"]) == (600, 600, 0)
    assert len(replays.judged()) == 600
    again = replays.run()
    assert again["partitions"] == ended["partitions"]
    assert len(replays.records()) == 600


def test_a_replay_takes_the_offsets_partitions_times_and_chats_that_are_asked_for(
    ledger: LiveLedger, topics: Topics, replays: ReplayRig, sample_chats: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Each option names a set of records; what is passed over is counted and committed, too."""
    ledger.send(sample_chats[:40])
    cut = datetime.now(UTC)
    ledger.send(sample_chats[40:60])
    early = set(list(ledger.sent)[:40])
    options: dict[str, tuple[tuple[str, ...], set[Place]]] = {
        "by-partition": (("--partition", "1"), {place for place in ledger.sent if place.partition == 1}),
        "by-offset": (
            ("--offsets", "0:2-4", "--offsets", "3:1-"),
            {Place(topics.events, 0, 2), Place(topics.events, 0, 3)}
            | {place for place in ledger.sent if place.partition == 3 and place.offset > 0},
        ),
        "until": (("--to-time", cut.isoformat()), early),
        "since": (("--from-time", cut.isoformat()), ledger.sent.keys() - early),
    }
    chats = tmp_path / "chats.txt"
    wanted = [chat["chat_id"] for chat in (sample_chats[3], sample_chats[50])]
    chats.write_text(f"{wanted[1]}\n\nnobody,here\n", encoding="utf-8-sig")
    options["by-chat"] = (
        ("--chat-id", wanted[0], "--chat-ids-file", str(chats)),
        {place for place, sent in ledger.sent.items() if sent.key in {name.encode() for name in wanted}},
    )
    expected: dict[str, set[Place]] = {}
    for name, (arguments, places) in options.items():
        ended = replays.run(*arguments, replay_id=name)
        assert ended["n_verdicts"] == len(places), (name, ended)
        if name == "by-chat":
            # An id that is cut wrongly selects nothing, and nobody would see it.
            assert (ended["n_chats"], ended["n_chats_not_met"], ended["whole_range_read"]) == (3, 1, True)
        expected[name] = places
    found: dict[str, set[Place]] = {}
    for record in replays.records():
        verdict = decode_verdict(record.value or b"")
        found.setdefault(str(verdict.replay_id), set()).add(Place.of(verdict.source))
    assert found == expected


@pytest.mark.usefixtures("judged_live")
def test_another_policy_is_compared_with_the_old_verdicts_and_each_change_is_published(
    ledger: LiveLedger, replays: ReplayRig, tmp_path: Path
) -> None:
    """A backfill after a change of policy: the ad pipeline acts on the changes, people read the report."""
    policy = tmp_path / "strict.toml"
    policy.write_text(
        'name = "strict"\nversion = "1"\nbanned = ["A", "D", "E", "F", "J", "M"]\n'
        "max_banned_to_safe_rate = 0.05\nmax_safe_to_banned_rate = 0.02\n"
    )
    page = tmp_path / "report.html"
    ended = replays.run("--policy", str(policy), "--compare", "--report", str(page))
    old, new = ledger.verdicts(), replays.judged()
    moved = {place for place in old if old[place].decision != new[place].decision}
    assert moved
    assert all(new[place].policy.name == "strict" for place in new)
    changes = {
        Place(*(change["source"][name] for name in Place._fields)): (record.key, change)
        for record in replays.records(replays.changes)
        for change in [orjson.loads(record.value or b"")]
    }
    assert changes.keys() == moved
    for place, (key, change) in changes.items():
        assert key == new[place].chat_id.encode()
        assert change["old"]["decision"] == old[place].decision.value
        assert change["new"]["decision"] == new[place].decision.value
        assert (change["verdict_id"], change["replay_id"]) == (new[place].verdict_id, replays.replay_id)
    told = ended["changes"]
    assert (told["n_compared"], told["n_changed"]) == (len(old), len(moved))
    assert sum(told["decisions"].values()) == len(moved)
    text = page.read_text()
    assert replays.replay_id in text
    assert not any(word in text for word in ("<script", "http://", "https://"))


@pytest.mark.usefixtures("judged_live")
def test_a_replay_without_cache_writes_leaves_the_cache_alone(
    replays: ReplayRig, cache: "redis.Redis", tmp_path: Path
) -> None:
    """A trial of another policy must not reach the ad server; a backfill for good must."""
    policy = tmp_path / "strict.toml"
    policy.write_text(
        'name = "strict"\nversion = "1"\nbanned = ["D", "J", "M"]\n'
        "max_banned_to_safe_rate = 0.01\nmax_safe_to_banned_rate = 0.02\n"
    )
    keys = sorted(cache.keys())  # type: ignore[type-var]
    before = cache.mget(keys)
    assert replays.run("--policy", str(policy), "--no-cache-write")["n_verdicts"] == 60
    assert cache.mget(keys) == before
    assert replays.run("--policy", str(policy), replay_id="for-good")["n_verdicts"] == 60
    stored = [decode_verdict(raw) for raw in cache.mget(keys)]  # type: ignore[union-attr, arg-type]
    assert all(verdict.policy.name == "strict" for verdict in stored)
    assert {verdict.replay_id for verdict in stored} == {"for-good"}


def test_a_dry_run_counts_and_estimates_and_changes_nothing(
    ledger: LiveLedger, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """Whoever plans a backfill wants to know its size first."""
    ledger.send(sample_chats[:80])
    told = replays.run("--dry-run", "--chat-id", sample_chats[0]["chat_id"])
    assert (told["n_records"], told["n_selected"], told["extrapolated"]) == (80, 1, False)
    told = replays.run("--dry-run", "--rate", "4")
    assert told["n_selected"] == 80
    assert told["estimated_s_one_process"] >= 20
    assert replays.records() == replays.records(replays.settings["MODERATION_KAFKA__REPLAY_TOPIC"]) == []


def test_a_replay_of_low_priority_waits_until_the_live_group_has_caught_up(
    ledger: LiveLedger, start_worker: StartWorker, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """Live traffic goes first: the lag that autoscaling looks at decides, not a guess."""
    ledger.send(sample_chats[:20])
    worker = start_worker()
    ledger.wait_complete()
    assert worker.stop() == 0
    ledger.send(short_events(sample_chats, 200, n_chats=200))
    replay = replays.start("--priority", "low", "--max-live-lag", "100")
    held = replay.wait_for("replay_holds")
    assert held["live_lag"] > 100
    assert replays.records() == []
    start_worker()
    ledger.wait_complete()
    assert replay.wait_exit(timeout_s=TIMEOUT_S) == 0, replay.tail()
    assert replay.events("replay_goes_on")
    assert len(replays.judged()) == 220


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        pytest.param(("--partition", "77"), "no such partition", id="partition"),
        pytest.param(("--offsets", "0:5-900000"), "where the partition ends now", id="end"),
        pytest.param(("--offsets", "x"), "expected [TOPIC:]PARTITION:START-END", id="syntax"),
        pytest.param(("--reason", "too_large"), "--reason without --redrive", id="reason"),
        pytest.param(("--redrive", "--compare"), "--compare with --redrive", id="compare"),
        pytest.param(("--replay-id", "a b"), "--replay-id", id="name"),
        pytest.param(("--priority", "low"), "has never committed", id="live group"),
    ],
)
def test_options_that_cannot_be_followed_are_named_and_end_with_code_2(
    ledger: LiveLedger, replays: ReplayRig, sample_chats: list[dict[str, Any]], options: tuple[str, ...], expected: str
) -> None:
    """A typo in a backfill must not judge a million records."""
    ledger.send(sample_chats[:5])
    assert expected in replays.run(*options, code=2)["log"].replace("\n", " ")


def test_an_id_that_stands_for_another_replay_is_refused(
    ledger: LiveLedger, replays: ReplayRig, sample_chats: list[dict[str, Any]]
) -> None:
    """Two pods of one Job with different options would tear the range apart."""
    ledger.send(sample_chats[:5])
    replays.run("--partition", "0")
    told = replays.run("--partition", "1", code=2)["log"]
    assert "stands for another replay (partitions: (0,) then, (1,) now)" in told
