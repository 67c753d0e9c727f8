"""`worker explain` against real topics: what became of one chat, and why."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from testkit.records import InputRecord
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import ALLOWED, ROLE_PLAY, chats
from tests.integration.workers import run_command

pytestmark = pytest.mark.services

CHAT = "chat-0"
N_OTHERS = 20


def explain(settings: Settings, *options: str, chat_id: str = CHAT, code: int = 0, **overrides: str) -> Any:
    """Run the command with --json; return its document, or what it said instead."""
    changed = {f"MODERATION_{name}": value for name, value in overrides.items()}
    done = run_command("explain", chat_id, "--json", *options, settings=settings | changed)
    assert done.returncode == code, done.stdout + done.stderr
    return orjson.loads(done.stdout.splitlines()[-1]) if code == 0 else done.stderr


def kinds(document: Any) -> list[str]:
    """Return what each outcome is: the decision of a verdict, else its kind."""
    return [one["verdict"]["decision"] if "verdict" in one else one["kind"] for one in document["outcomes"]]


@pytest.fixture
def judged(ledger: LiveLedger, start_worker: StartWorker) -> datetime:
    """Let a worker judge a chat five times, among others; return a time after the first two."""
    worker = start_worker()
    for text in (ALLOWED, ALLOWED):
        ledger.send(chats(N_OTHERS, text))
        ledger.wait_complete()
    time.sleep(0.05)
    between = datetime.now(UTC)
    time.sleep(0.05)
    ledger.send(chats(1, ROLE_PLAY))
    ledger.send_raw([InputRecord(CHAT.encode(), orjson.dumps({"chat_id": CHAT, "messages": "no list"}))])
    ledger.send_raw([InputRecord(CHAT.encode(), None)])
    ledger.wait_complete()
    assert worker.stop() == 0
    return between


def test_every_outcome_of_a_chat_is_told_with_what_would_have_changed_it(
    settings: Settings, ledger: LiveLedger, judged: datetime
) -> None:
    """Someone asks why an ad was shown; the topics know, and nobody else does."""
    document = explain(settings)
    assert kinds(document) == ["allow", "allow", "block", "dead_letter", "tombstone"]
    assert [one["in_force"] for one in document["outcomes"]] == [False] * 4 + [True]
    first, hit, blocked, letter, _ = document["outcomes"]
    assert (first["verdict"]["cache_hit"], hit["verdict"]["cache_hit"]) == (False, True)
    assert letter["reason"] == "schema_error"
    policy = blocked["explanation"]["policy"]
    assert policy["proven"]
    assert policy["banned"] == ["D", "J", "M"]
    by_score = next(one for one in blocked["explanation"]["changes"] if one["what"] == "score")
    assert by_score["decision"] == "review"
    assert policy["allow_up_to"] < by_score["needed"] < policy["block_from"] <= by_score["found"]
    # Of four partitions only the chat's is read.
    assert [len(look["partitions"]) for look in document["looked_through"]] == [1, 1]
    placed = {verdict.source.partition for verdict in ledger.verdicts().values() if verdict.chat_id == CHAT}
    assert document["looked_through"][0]["partitions"] == sorted(placed)
    before = explain(settings, "--at", judged.isoformat())
    assert kinds(before) == ["allow", "allow"]
    assert before["outcomes"][1]["in_force"]
    told = run_command("explain", CHAT, settings=settings).stdout
    assert "allow  " not in told.splitlines()[0]
    for said in ("would change", "review with a score of at most", "schema_error", "in force now", "murmur2"):
        assert said in told


def test_a_keyless_dead_letter_makes_it_read_every_partition(
    settings: Settings, ledger: LiveLedger, start_worker: StartWorker
) -> None:
    """Nobody can tell in which partition a record without a key was put."""
    worker = start_worker()
    ledger.send(chats(1, ALLOWED))
    n_keyless = 12
    ledger.send_raw([InputRecord(None, orjson.dumps({"chat_id": CHAT, "messages": "no list"}))] * n_keyless)
    ledger.wait_complete()
    assert worker.stop() == 0
    document = explain(settings)
    assert sorted(kinds(document)) == ["allow", *["dead_letter"] * n_keyless]
    verdicts, letters = document["looked_through"]
    assert (len(verdicts["partitions"]), verdicts["all_partitions_because"]) == (1, None)
    assert (len(letters["partitions"]), letters["all_partitions_because"]) == (4, "it holds records without a key")
    few = explain(settings, "--limit", "5", "--all-partitions")
    assert (len(few["outcomes"]), few["n_left_out"]) == (5, n_keyless - 4)
    assert [look["all_partitions_because"] for look in few["looked_through"]] == ["--all-partitions"] * 2


def test_a_chat_that_nobody_judged_says_what_was_looked_through(settings: Settings, judged: datetime) -> None:
    """A typo in the id must not look like a chat that was never seen."""
    told = explain(settings, chat_id="chat-nobody", code=5)
    assert "no outcome of chat 'chat-nobody'" in told
    assert "partition" in told
    assert "--all-partitions" in told
    told = explain(settings, "--at", (judged - timedelta(days=1)).isoformat(), code=5)
    assert "published up to 2" in told


@pytest.mark.usefixtures("judged")
def test_a_missing_topic_and_a_broker_that_is_not_there_are_fatal(settings: Settings) -> None:
    """Exit code 3, as for the other commands."""
    assert "lacks the topics no-such-topic" in explain(settings, code=3, KAFKA__VERDICT_TOPIC="no-such-topic")
    told = explain(settings, code=3, KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1", KAFKA__REQUEST_TIMEOUT_S="2")
    assert "no answer within 2" in told
