"""What an erasure says afterwards: where, how many, by when; and what a person must know besides."""

import io
import json

from rich.console import Console

from tests.worker.payloads import kafka_settings
from worker.erase.account import Account, CacheAccount, StoreAccount, print_account
from worker.erase.search import Found
from worker.erase.stores import stores_of
from worker.kafka.topic_cleanup import Cleanup

DAY = 86_400_000
BEGAN_MS = 1_767_225_600_000
"""2026-01-01."""
BY_AGE = Cleanup(frozenset({"delete"}), 4 * DAY, DAY, 2**63 - 1, DAY)
NEVER = BY_AGE._replace(policies=frozenset({"compact"}))


def account() -> Account:
    """Return an account of three topics: one by age, one that is compacted without a bound, one that is missing."""
    stores = list(stores_of(kafka_settings(state_topic="verdict-state")))
    letters, changes, state = (
        next(one for one in stores if one.setting == f"{name}_topic") for name in ("dead_letter", "changes", "state")
    )
    found = Found(n_records=2, n_read=9, newest_ms=BEGAN_MS - 1_000)
    return Account(
        1,
        is_dry_run=False,
        began_ms=BEGAN_MS,
        ttl_s=7 * 86_400,
        cache=CacheAccount(n_found=1, n_marked=1),
        stores=[
            StoreAccount(letters, BY_AGE, found),
            StoreAccount(state, NEVER, Found(n_records=1), n_written=1),
            StoreAccount(changes, missing="not there"),
        ],
    )


def test_the_line_says_where_how_many_and_by_when() -> None:
    """For whoever keeps it as a proof."""
    line = account().line()
    assert json.loads(json.dumps(line)) == line
    letters, state, changes = line["stores"]
    assert letters == {
        "topic": "chat-events.dlq",
        "setting": "dead_letter_topic",
        "holds": "text",
        "missing": None,
        "n_found": 2,
        "n_read": 9,
        "newest_at": "2025-12-31T23:59:59+00:00",
        "cleanup": ["delete"],
        "n_tombstones_written": 0,
        # Four days, one for its segment, and five minutes until the broker looks.
        "left_by": "2026-01-06T00:05:00+00:00",
    }
    assert (state["n_tombstones_written"], state["left_by"]) == (1, None)
    assert (changes["missing"], changes["n_found"]) == ("not there", None)
    assert line["redis"] == {"n_found": 1, "n_marked": 1, "left_by": "2026-01-08T00:00:00+00:00", "problem": None}


def test_people_are_told_what_no_tombstone_takes_out_and_what_has_no_bound() -> None:
    """The two things that nobody would guess, and that later training knows nothing of the chat."""
    output = io.StringIO()
    shown = account()
    shown.cache = CacheAccount(problem="no answer")
    print_account(shown, Console(file=output, width=160))
    text = " ".join(output.getvalue().split())
    assert "chat-events.dlq text 2 0 delete 2026-01-06 00:05 UTC" in text
    assert "chat-events.dlq: text, deleted by age alone" in text
    assert "verdict-state: nothing says by when" in text
    assert "kafka.erasures_topic is not set" in text
    assert "Redis: no answer; the workers put the markers in" in text
