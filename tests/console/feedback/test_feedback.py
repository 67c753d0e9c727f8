"""Reports count where they match a known verdict; all others are dropped, and the answer is the same."""

from typing import Any

import orjson
import pytest

from console.operations import Operations
from console.store.outbox_rows import FeedbackBody, OutboxRow, due
from console.store.store import now_ms
from console.store.tables import outbox
from tests.console.items import put_item
from tests.console.roles import bearer
from tests.console.server import Answer, RunningConsole
from tests.schemas.payloads import make_verdict

KNOWN = make_verdict()
GOOD = {"verdict_id": KNOWN.verdict_id, "category": "D", "reporter": "u7", "note": "a joke"}


def send(console: RunningConsole, document: dict[str, Any], key: str = "client") -> Answer:
    """Report something."""
    return console.ask("POST", "/v1/feedback", orjson.dumps(document), bearer(key))


def rows(operations: Operations) -> list[OutboxRow]:
    """Return what is to be sent."""
    with operations.store.reading() as connection:
        return due(connection, now_ms(), 100)


def counted(console: RunningConsole, result: str) -> float | None:
    """Return how many reports ended so."""
    return console.service.metrics.registry.get_sample_value("moderation_console_reports_total", {"result": result})


def test_a_report_on_a_known_verdict_is_to_be_sent(following: RunningConsole, operations_on_sqlite: Operations) -> None:
    """Completed from the verdict, its reporter under the name of the key, so that no key votes for another's people."""
    put_item(operations_on_sqlite.store)
    answer = send(following, GOOD)
    assert (answer.status, answer.json) == (200, {"received": True})
    (row,) = rows(operations_on_sqlite)
    body = row.body
    assert isinstance(body, FeedbackBody)
    assert (body.verdict_id, body.source, body.fingerprint) == (
        KNOWN.verdict_id,
        KNOWN.source,
        KNOWN.content_fingerprint,
    )
    assert (body.category, body.decision, body.reporter, body.note) == ("D", None, "client/u7", "a joke")
    assert row.chat_id == KNOWN.chat_id, "by which erasure finds it"


@pytest.mark.parametrize(
    "changed",
    [
        {"verdict_id": "ab" * 16},
        {"category": "no-such"},
        {"fingerprint": "ab" * 16},
    ],
)
def test_another_is_dropped_with_the_same_answer(
    following: RunningConsole, operations_on_sqlite: Operations, changed: dict[str, Any]
) -> None:
    """A refusal would say which verdicts exist."""
    put_item(operations_on_sqlite.store)
    dropped = counted(following, "dropped") or 0
    good, bad = send(following, GOOD), send(following, GOOD | changed)
    assert (bad.status, bad.raw) == (good.status, good.raw)
    volatile = {"date", "x-request-id"}
    assert {name: value for name, value in bad.headers.items() if name not in volatile} == {
        name: value for name, value in good.headers.items() if name not in volatile
    }
    assert len(rows(operations_on_sqlite)) == 1
    assert counted(following, "dropped") == dropped + 1


def test_a_gold_item_and_an_erased_one_are_not_known(
    following: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """The one is nobody's chat, and the other is to be forgotten."""
    put_item(operations_on_sqlite.store, "gold")
    put_item(operations_on_sqlite.store, chat_id=None, state="erased")
    assert send(following, GOOD).status == 200
    assert rows(operations_on_sqlite) == []


@pytest.mark.parametrize(
    ("document", "told", "param"),
    [
        ({"verdict_id": KNOWN.verdict_id}, "neither category nor decision", None),
        ({"decision": "allow"}, "neither verdict_id nor chat_id", None),
        ({"verdict_id": "x", "decision": "allow"}, "verdict_id", "verdict_id"),
        ({**GOOD, "decision": "perhaps"}, "decision", "decision"),
        ({**GOOD, "note": "n" * 1_001}, "note", "note"),
        ({**GOOD, "note": "a\0b"}, "NUL", "note"),
        ({**GOOD, "SECRET": 1}, "a field that is not known", None),
    ],
)
def test_a_bad_report_is_refused_by_field_and_not_quoted(
    following: RunningConsole, document: dict[str, Any], told: str, param: str | None
) -> None:
    """What is wrong with the form says nothing about verdicts."""
    answer = send(following, document)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_input", param)
    assert told in answer.error["message"]
    assert "SECRET" not in answer.raw.decode()


def test_a_chat_whose_newest_verdict_cannot_be_asked_for_is_no_silent_loss(following: RunningConsole) -> None:
    """The pipeline of this test is not there: the sender is told to come again."""
    answer = send(following, {"chat_id": "chat-1", "decision": "allow"})
    assert (answer.status, answer.error["code"]) == (503, "pipeline_away")
    assert "retry-after" in answer.headers
    assert "127.0.0.1" not in answer.raw.decode(), "addresses of the cluster are for the log"


def test_a_database_that_is_away_is_told(following: RunningConsole, operations_on_sqlite: Operations) -> None:
    """Nothing is taken that could not be kept."""
    put_item(operations_on_sqlite.store)
    with operations_on_sqlite.store.writing() as connection:
        # What a statement meets on a file that is not a database any more, as a server that went away.
        outbox.drop(connection)
    answer = send(following, GOOD)
    assert (answer.status, answer.error["code"]) == (503, "store_away")
    assert "retry-after" in answer.headers
