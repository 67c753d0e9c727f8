"""What needs a pipeline answers 501 without one, and says what to set."""

from dataclasses import replace

import pytest

from console.operations import Operations
from console.service import Service
from tests.console.operations import operating_service, operations_on_sqlite
from tests.console.server import RunningConsole

__all__ = ["operating_service", "operations_on_sqlite"]

ROUTES = [
    ("GET", "/v1/verdicts/chat-1"),
    ("POST", "/v1/feedback"),
    ("POST", "/v1/overrides"),
    ("GET", "/v1/overrides?chat_id=chat-1"),
    ("DELETE", "/v1/overrides?chat_id=chat-1&reason=mistake"),
    ("GET", "/v1/outbox"),
    ("POST", "/v1/outbox/1/again"),
    ("POST", "/v1/outbox/1/dismiss"),
    ("POST", "/v1/appeals"),
    ("GET", "/v1/appeals/a1"),
    ("GET", "/v1/appeals"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_process_without_a_pipeline_says_what_to_set(console: RunningConsole, method: str, path: str) -> None:
    """Not a 404, which would look like an unknown chat; and no client should try again."""
    answer = console.ask(method, path, b"{}" if method == "POST" else None, {"content-type": "application/json"})
    assert (answer.status, answer.error["code"]) == (501, "not_implemented")
    assert "CONSOLE_PIPELINE__IS_ON" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"


def test_a_pipeline_without_the_topics_says_which(operating_service: Service, operations_on_sqlite: Operations) -> None:
    """A decision that nobody follows, or a report that nobody keeps, must not look taken."""
    kafka = operations_on_sqlite.worker.kafka
    lacking = kafka.model_copy(update={"overrides_topic": None, "feedback_topic": None})
    worker = operations_on_sqlite.worker.model_copy(update={"kafka": lacking})
    service = replace(operating_service, operations=replace(operations_on_sqlite, worker=worker))
    console = RunningConsole(service)
    override = {"chat_id": "c", "decision": "block", "reason": "abuse"}
    report = {"chat_id": "c", "decision": "block"}
    for path, body, named in (
        ("/v1/overrides", override, "MODERATION_KAFKA__OVERRIDES_TOPIC"),
        ("/v1/feedback", report, "MODERATION_KAFKA__FEEDBACK_TOPIC"),
    ):
        answer = console.post(path, body)
        assert answer.status == 501
        assert named in answer.error["message"]
    console.close()
