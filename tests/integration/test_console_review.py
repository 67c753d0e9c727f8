"""A person's answer, from the console over a real Kafka to the ad server and to the next bundle."""

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import redis

from deploy.local import LocalStack
from schemas import Decision, VerdictKind, decode_verdict
from testkit.records import Place
from testkit.waiting import wait_until
from tests.integration.conftest import Settings, StartWorker
from tests.integration.console_rig import (
    PATIENCE_S,
    Reviewer,
    StartConsole,
    cached,
    database,
    reports_of,
    rows,
    settings,
    start_console,
)
from tests.integration.ledger import LiveLedger
from tests.integration.workers import run_command

__all__ = ["database", "settings", "start_console"]

pytestmark = [pytest.mark.services, pytest.mark.console]

N_ANSWERS: Final = 20
GENEROUS_S: Final = 10.0
"""Five times what is promised; the figures themselves are printed."""


@pytest.fixture
def reviewer(
    *, ledger: LiveLedger, start_worker: StartWorker, start_console: StartConsole, sample_chats: list[dict[str, Any]]
) -> Reviewer:
    """Return a person before a queue of at least twenty items."""
    start_worker()
    found = Reviewer(start_console())
    ledger.send(sample_chats[:400])
    ledger.wait_complete()
    found.wait_for(N_ANSWERS)
    return found


def topic_time(ledger: LiveLedger, chat_id: str) -> float | None:
    """Return when the person's verdict on a chat was first seen on the topic; None: not yet."""
    for record in ledger.seen:
        if record.key == chat_id.encode() and record.topic == ledger.topics.verdicts:
            verdict = decode_verdict(record.value or b"")
            if verdict.kind is VerdictKind.OVERRIDE:
                return ledger.seen_at_s[Place(*record[:3])]
    return None


def when(condition: Callable[[], bool], what: str) -> float:
    """Wait for a condition; return the time at which it held."""
    wait_until(condition, timeout_s=PATIENCE_S, what=lambda: what, every_s=0.01)
    return time.perf_counter()


def test_an_answer_is_a_verdict_on_the_topic_and_in_redis_and_then_a_training_row(
    *,
    reviewer: Reviewer,
    ledger: LiveLedger,
    settings: Settings,
    stack: LocalStack,
    cache: "redis.Redis",
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Within two seconds on a quiet machine; what the person said teaches the next bundle."""
    items = reviewer.open_items()[:N_ANSWERS]
    on_topic, in_redis = [], []
    for number, item in enumerate(items):
        outcome, chat_id = ("block", "allow")[number % 2], item["chat_id"]
        started = time.perf_counter()
        reviewer.answer(item["id"], outcome, category="D" if outcome == "block" else "E")

        def is_shown(chat_id: str = chat_id, outcome: str = outcome) -> bool:
            shown = cached(cache, chat_id)
            return shown is not None and shown.kind is VerdictKind.OVERRIDE and shown.decision == Decision(outcome)

        in_redis.append(when(is_shown, f"{chat_id} in Redis") - started)
        when(lambda chat_id=chat_id: topic_time(ledger, chat_id) is not None, f"{chat_id} on the topic")  # type: ignore[misc]
        on_topic.append((topic_time(ledger, chat_id) or 0.0) - started)
    with capsys.disabled():
        for name, found in (("verdict topic", on_topic), ("Redis", in_redis)):
            figures = f"median {statistics.median(found):.2f} s, longest {max(found):.2f} s, n = {len(found)}"
            print(f"\nfrom the answer to the {name}: {figures}")  # noqa: T201
    assert max(on_topic + in_redis) < GENEROUS_S

    out = tmp_path / "rows.jsonl"
    done = run_command(
        *("feedback", "--topic", settings["MODERATION_KAFKA__FEEDBACK_TOPIC"], "--out", str(out)),
        *("--events-topic", ledger.topics.events, "--verdict-topic", ledger.topics.verdicts),
        *("--bootstrap-servers", stack.bootstrap_servers),
        settings={},
        module="training_pipeline.data",
    )
    assert done.returncode == 0, done.stderr
    learnt = {row["chat_id"]: row for row in map(orjson.loads, out.read_bytes().splitlines())}
    for number, item in enumerate(items):
        assert learnt[item["chat_id"]]["category"] == ("D", "E")[number % 2]
        assert learnt[item["chat_id"]]["messages"]


def test_an_erased_chat_leaves_the_database(
    *,
    reviewer: Reviewer,
    settings: Settings,
    database: str,
    stack: LocalStack,
) -> None:
    """Its id is in no page of the file any more; its neighbour's answer stays."""
    gone, stays = reviewer.open_items()[:2]
    for item in (gone, stays):
        reviewer.answer(item["id"], "block", category="D", note="seen")
    wait_until(lambda: len(reports_of(stack, settings)) == 2, timeout_s=PATIENCE_S)
    path = Path(database.removeprefix("sqlite:///"))
    assert gone["chat_id"].encode() in content(database, path)
    done = run_command("erase", gone["chat_id"], settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(
        lambda: gone["chat_id"].encode() not in content(database, path),
        timeout_s=PATIENCE_S,
        what=reviewer.console.tail,
    )
    assert stays["chat_id"].encode() in content(database, path)


def content(database: str, path: Path) -> bytes:
    """Return every byte of the database after what an operator does for good measure: checkpoint and vacuum."""
    rows(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    rows(database, "VACUUM")
    rows(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


def test_each_look_at_a_text_is_logged_before_it_is_given(*, reviewer: Reviewer, database: str) -> None:
    """Who saw which text can be told afterwards; the log itself holds none."""
    item = reviewer.open_items()[0]
    text = reviewer.reveal(item["id"])
    logged = rows(database, "SELECT actor, action, item_id FROM access_log WHERE action = 'reveal'")
    assert logged == [("local", "reveal", item["id"])]
    path = Path(database.removeprefix("sqlite:///"))
    assert text.encode() not in content(database, path)
