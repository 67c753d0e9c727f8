"""Every answer has an id and stays out of caches; logs and metrics know routes, never paths or queries."""

import pytest
from structlog.testing import capture_logs

from testkit.waiting import wait_until
from tests.console.server import RunningConsole

CANARY = "canary-7f3a"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/livez", 200),
        ("GET", "/metrics", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/v1/classify", 405),
        ("POST", "/v1/classify", 415),
        ("GET", "/$discovery/rest", 200),
        ("POST", "/v1alpha1/comments:analyze", 415),
    ],
)
def test_no_answer_is_stored_and_each_has_an_id(console: RunningConsole, method: str, path: str, status: int) -> None:
    """Verdicts and problems alike."""
    answer = console.ask(method, path)
    assert answer.status == status
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert len(answer.headers["x-request-id"]) == 32


def test_a_good_request_id_is_kept_and_a_bad_one_replaced(console: RunningConsole) -> None:
    """A line break or a kilobyte in it would end in the log."""
    assert console.ask("GET", "/livez", headers={"x-request-id": "abc-12345"}).headers["x-request-id"] == "abc-12345"
    for bad in ("short", "x" * 65, "with space-", "a/b/c/d/e"):
        assert console.ask("GET", "/livez", headers={"x-request-id": bad}).headers["x-request-id"] != bad


def test_a_request_is_one_line_without_path_query_or_text(console: RunningConsole) -> None:
    """`?key=` holds a key, a path may hold a chat_id, a body holds a chat."""
    with capture_logs() as lines:
        for path in (
            f"/v1alpha1/comments:analyze?key={CANARY}",
            f"/{CANARY}?q={CANARY}",
            f"/$discovery/rest?version=v1alpha1&key={CANARY}",
        ):
            console.post(path, {"comment": {"text": CANARY}, "requestedAttributes": {CANARY: {}}})
        console.ask("GET", f"/v1/verdicts/{CANARY}?{CANARY}")
        console.post("/v1/classify", {"text": CANARY, "chat_id": CANARY}, user_agent=CANARY)
        wait_until(lambda: len(lines) == 5)
    assert CANARY not in str(lines)
    routes = [line["route"] for line in lines]
    assert routes == [
        "/v1alpha1/comments:analyze",
        "none",
        "/$discovery/rest",
        "/v1/verdicts/{chat_id:path}",
        "/v1/classify",
    ]
    assert [line["status"] for line in lines] == [400, 404, 405, 501, 200]
    assert CANARY not in console.ask("GET", "/metrics").raw.decode()


def test_metrics_count_requests_and_conversations(console: RunningConsole) -> None:
    """By route and status; the bundle is named."""
    console.post("/v1/classify", {"conversations": ["hello", "good morning"]})

    def shown() -> str:
        return console.ask("GET", "/metrics").raw.decode()

    wait_until(lambda: 'moderation_console_requests_total{key="local",route="/v1/classify",status="200"}' in shown())
    assert 'moderation_console_conversations_total{decision="allow"}' in shown()
    assert 'taxonomy="chat-13 1"' in shown()
