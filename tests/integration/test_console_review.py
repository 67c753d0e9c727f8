"""A person's answer, from the console over a real Kafka to the ad server and to the next bundle."""

import statistics
import time
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import redis

from deploy.local import LocalStack
from schemas import VerdictKind, decode_verdict
from testkit.records import Place
from testkit.waiting import wait_until
from tests.integration.conftest import Settings, StartWorker
from tests.integration.console_rig import (
    PATIENCE_S,
    Reviewer,
    StartConsole,
    database,
    is_as_decided,
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
    """Return a person before the reviews of 400 chats."""
    start_worker()
    found = Reviewer(start_console())
    ledger.send(sample_chats[:400])
    ledger.wait_complete()
    return found


def topic_time(ledger: LiveLedger, chat_id: str) -> float | None:
    """Return when the person's verdict on a chat was first seen on the topic; None: not yet."""
    for record in ledger.seen:
        if record.key == chat_id.encode() and record.topic == ledger.topics.verdicts:
            verdict = decode_verdict(record.value or b"")
            if verdict.kind is VerdictKind.OVERRIDE:
                return ledger.seen_at_s[Place(*record[:3])]
    return None


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
    items = reviewer.take(N_ANSWERS)
    on_topic, in_redis = [], []
    for number, item in enumerate(items):
        outcome, category = (("block", "D"), ("allow", "E"))[number % 2]
        started = time.perf_counter()
        reviewer.answer(item, outcome, category=category)
        wait_until(partial(is_as_decided, cache, item.chat_id, outcome), timeout_s=PATIENCE_S, every_s=0.01)
        in_redis.append(time.perf_counter() - started)
        seen_at = wait_until(
            partial(topic_time, ledger, item.chat_id), timeout_s=PATIENCE_S, what=reviewer.console.tail
        )
        on_topic.append(seen_at - started)
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
        assert learnt[item.chat_id]["category"] == ("D", "E")[number % 2]
        assert learnt[item.chat_id]["messages"]


def test_an_erased_chat_leaves_the_database(
    *,
    reviewer: Reviewer,
    settings: Settings,
    database: str,
    stack: LocalStack,
) -> None:
    """Its id is in no page of the file any more; its neighbour's answer stays."""
    gone, stays = reviewer.take(2)
    for item in (gone, stays):
        reviewer.answer(item, "block", category="D", note="seen")
    wait_until(lambda: len(reports_of(stack, settings)) == 2, timeout_s=PATIENCE_S)
    path = Path(database.removeprefix("sqlite:///"))
    assert gone.chat_id.encode() in content(database, path)
    done = run_command("erase", gone.chat_id, settings=settings)
    assert done.returncode == 0, done.stdout + done.stderr
    wait_until(
        lambda: gone.chat_id.encode() not in content(database, path),
        timeout_s=PATIENCE_S,
        what=reviewer.console.tail,
    )
    assert stays.chat_id.encode() in content(database, path)


def content(database: str, path: Path) -> bytes:
    """Return every byte of the database after what an operator does for good measure: checkpoint and vacuum."""
    rows(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    rows(database, "VACUUM")
    rows(database, "PRAGMA wal_checkpoint(TRUNCATE)")
    return b"".join(one.read_bytes() for one in path.parent.glob(f"{path.name}*"))


def test_each_look_at_a_text_is_logged_before_it_is_given(
    *, reviewer: Reviewer, database: str, sample_chats: list[dict[str, Any]]
) -> None:
    """Who saw which text can be told afterwards; the log itself holds none."""
    (item,) = reviewer.take(1)
    assert rows(database, "SELECT count(*) FROM access_log WHERE action = 'reveal'") == [(0,)]
    turns = reviewer.text(item)["turns"]
    logged = rows(database, "SELECT actor, action, item_id FROM access_log WHERE action = 'reveal'")
    assert logged == [("local", "reveal", item.item_id)]
    (chat,) = (one for one in sample_chats if one["chat_id"] == item.chat_id)
    assert [turn["text"] for turn in turns] == [one["content"] for one in chat["messages"]]
    path = Path(database.removeprefix("sqlite:///"))
    found = content(database, path)
    assert not any(turn["text"].encode() in found for turn in turns)
