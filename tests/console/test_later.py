"""What other parts of the project will fill answers 501 and says what is missing."""

import pytest

from tests.console.server import RunningConsole


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/verdicts/chat-1"), ("POST", "/v1/feedback"), ("POST", "/v1/overrides")]
)
def test_it_is_not_there_yet(console: RunningConsole, method: str, path: str) -> None:
    """Not a 404, which would look like an unknown chat; and no client should try again."""
    answer = console.ask(method, path, b"{}" if method == "POST" else None, {"content-type": "application/json"})
    assert (answer.status, answer.error["code"]) == (501, "not_implemented")
    assert "yet" in answer.error["message"]
    assert answer.headers["x-should-retry"] == "false"
