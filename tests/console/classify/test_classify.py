"""POST /v1/classify: the worker's verdicts without `source`, and a clear problem for everything else."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from console.service import Service
from model import Classification
from schemas import CodecLimits, Verdict
from tests.bad_inputs import BadInput, bad_inputs, chat
from tests.console.server import RunningConsole
from worker.decode import Decoder
from worker.record import Record
from worker.verdict_builder import VerdictBuilder

OF_THE_RECORD = {"source", "decided_at"}


def published(service: Service, event: dict[str, Any]) -> dict[str, Any]:
    """Return what a worker with this bundle would publish on an event, without what only a record has."""
    (row,) = Decoder(CodecLimits()).decode([Record("chat-events", 0, 7, 1_000, b"k", orjson.dumps(event))])
    assert row.event is not None
    (answer,), _ = _classifier(service).classify([row.event.turns])
    assert isinstance(answer, Classification)
    verdict: Verdict = _builder(service).fresh(row.event, answer, datetime.now(UTC))
    document: dict[str, Any] = orjson.loads(verdict.model_dump_json())
    return {name: value for name, value in document.items() if name not in OF_THE_RECORD}


def _classifier(service: Service) -> Any:
    # The judge is idle: no other test asks meanwhile.
    return service.judge._classifier


def _builder(service: Service) -> VerdictBuilder:
    from worker.predictor import Predictor  # noqa: PLC0415

    return Predictor.of(_classifier(service)).builder


def test_an_event_gets_the_verdict_that_the_worker_would_publish(
    console: RunningConsole, sample_chats: list[dict[str, Any]]
) -> None:
    """To the digit, ids included; asked one by one, as the rows of a batch move the sixth decimal now and then."""
    for event in sample_chats[:40]:
        sent = event | {"event_id": 2**60, "occurred_at": 1_767_225_600.5}
        answer = console.post("/v1/classify", sent)
        assert answer.status == 200
        found = answer.json
        assert "source" not in found
        assert datetime.fromisoformat(found.pop("decided_at")).tzinfo is not None
        assert found == published(console.service, sent)


def test_a_text_is_an_event_of_one_user_message(console: RunningConsole) -> None:
    """The same text has the same name, so the same verdict_id."""
    first, second = (console.post("/v1/classify", {"text": "which phone should i buy"}).json for _ in range(2))
    assert first["chat_id"] == second["chat_id"] == f"text-{first['content_fingerprint']}"
    assert first["verdict_id"] == second["verdict_id"]
    named = console.post("/v1/classify", {"text": "which phone should i buy", "chat_id": "c-1", "event_id": 7}).json
    event = chat(chat_id="c-1", event_id=7)
    named.pop("decided_at")
    assert named == published(console.service, event)


def test_a_batch_has_one_result_for_each_in_order(console: RunningConsole, sample_chats: list[dict[str, Any]]) -> None:
    """Events, objects with text and texts may stand side by side; a bad one takes no neighbour with it."""
    asked = [sample_chats[0], {"text": "hello"}, "write a poem", chat(messages=[]), {"no": "chat"}, 7, sample_chats[1]]
    answer = console.post("/v1/classify", {"conversations": asked})
    assert answer.status == 200
    results = answer.json["results"]
    assert [result.get("rejected") for result in results] == [
        None,
        None,
        None,
        "empty_conversation",
        "schema_error",
        "schema_error",
        None,
    ]
    alone = console.post("/v1/classify", sample_chats[1]).json
    assert results[6]["verdict_id"] == alone["verdict_id"]
    assert results[6]["category"] == alone["category"]


def test_256_conversations_are_taken_and_257_are_not(console: RunningConsole) -> None:
    """One request, many micro-batches."""
    answer = console.post("/v1/classify", {"conversations": ["hello"] * 256})
    assert (answer.status, len(answer.json["results"])) == (200, 256)
    answer = console.post("/v1/classify", {"conversations": ["hello"] * 257})
    assert (answer.status, answer.error["param"]) == (400, "conversations")


@pytest.mark.parametrize("bad", [bad for bad in bad_inputs() if bad.value is not None], ids=lambda bad: bad.name)
def test_every_bad_input_of_the_worker_is_a_clear_4xx_here(console: RunningConsole, bad: BadInput) -> None:
    """The reason of the dead letter is the problem's code; what gets a verdict there gets one here."""
    answer = console.post("/v1/classify", bad.value)
    if bad.reason is None:
        assert answer.status == 200, answer.raw
        return
    assert answer.status == (413 if bad.reason == "too_large" else 400)
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert answer.error["code"] == bad.reason
    assert len(answer.error["message"]) > 20


@pytest.mark.parametrize("bad", [bad for bad in bad_inputs() if bad.value is not None], ids=lambda bad: bad.name)
def test_a_batch_of_bad_inputs_alone_is_a_4xx_as_well(console: RunningConsole, bad: BadInput) -> None:
    """A batch in which nothing could be judged did not succeed."""
    answer = console.post("/v1/classify", b'{"conversations":[' + (bad.value or b"") + b"]}")
    assert 200 <= answer.status < 500
    if bad.reason is not None:
        assert answer.status in {400, 413}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"{}",
        b"null",
        b'"hello"',
        {"text": None},
        {"text": ["hello"]},
        {"text": " \u200b"},
        {"text": "hello", "chat_id": ""},
        {"text": "hello", "chat_id": 7},
        {"conversations": []},
        {"conversations": {}},
        {"conversations": None},
        {"conversations": [[]]},
        {"conversations": [{"from": "human", "value": "hello"}]},
        {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    ],
    ids=str,
)
def test_what_is_no_request_is_a_400(console: RunningConsole, document: Any) -> None:
    """And says what was expected."""
    answer = console.post("/v1/classify", document)
    assert answer.status == 400
    assert answer.error["message"]


def test_a_form_of_another_program_is_told_what_to_do(console: RunningConsole) -> None:
    """ShareGPT's turns stand under `conversations`, too."""
    answer = console.post("/v1/classify", {"conversations": [{"from": "human", "value": "hello"}]})
    assert "ShareGPT" in answer.error["message"]


@pytest.mark.parametrize("deadline", ["0", "-1", "1.5", "x", "²"])
def test_a_deadline_that_is_none_is_refused(console: RunningConsole, deadline: str) -> None:
    """A typo must not mean the longest one."""
    answer = console.post("/v1/classify", {"text": "hello"}, x_deadline_ms=deadline.encode("utf-8").decode("latin-1"))
    assert (answer.status, answer.error["param"]) == (400, "x-deadline-ms")
    assert console.post("/v1/classify", {"text": "hello"}, x_deadline_ms="60000").status == 200


def test_the_model_is_named_in_a_header(console: RunningConsole) -> None:
    """For logs of callers that keep no bodies."""
    ref = console.service.bundle.ref
    answer = console.post("/v1/classify", {"text": "hello"})
    assert answer.headers["x-verdictstream-model"] == f"{ref.name} {ref.version} {ref.digest}"
