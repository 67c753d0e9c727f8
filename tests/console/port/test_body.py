"""Bodies: bounds, content type, time, and one strict reading."""

import socket

import pytest

from console.errors import Problem
from console.port.body import MAX_VALUES, parse_object
from testkit.waiting import wait_until
from tests.bad_inputs import BadInput, bad_inputs
from tests.console.conftest import StartConsole
from tests.console.server import RunningConsole


def test_a_body_above_the_limit_is_refused_whether_it_says_its_length_or_not(start_console: StartConsole) -> None:
    """A chunked one is cut off at the limit; nothing of it stays."""
    console = start_console(max_body_bytes=1_000)
    assert console.post("/v1/classify", {"text": "x" * 1_000}).status == 413
    with socket.create_connection(("127.0.0.1", console.port)) as link:
        link.sendall(
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"3e8\r\n" + b"x" * 1_000 + b"\r\n3e8\r\n" + b"x" * 1_000 + b"\r\n"
        )
        assert b" 413 " in link.recv(1_000)
    wait_until(lambda: console.service.bodies.held_bytes == 0)


def test_a_body_that_does_not_arrive_is_not_waited_for(start_console: StartConsole) -> None:
    """A client that sends a byte a minute would hold a place for ever."""
    console = start_console(body_timeout_s=0.05)
    with socket.create_connection(("127.0.0.1", console.port)) as link:
        link.sendall(
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
        assert b" 408 " in link.recv(1_000)
    wait_until(lambda: console.service.bodies.held_bytes == 0)


def test_bodies_of_all_requests_together_are_bounded(start_console: StartConsole) -> None:
    """One that is still coming counts; the next one is told to come back."""
    console = start_console(max_held_bytes=5_000, body_timeout_s=60)
    with socket.create_connection(("127.0.0.1", console.port)) as link:
        link.sendall(
            b"POST /v1/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 6000\r\n\r\n" + b"x" * 4_500
        )
        wait_until(lambda: console.service.bodies.held_bytes == 4_500)
        answer = console.post("/v1/classify", {"text": "x" * 1_000})
        assert (answer.status, answer.error["code"]) == (429, "too_many_bytes")
        assert "retry-after" in answer.headers
        assert console.post("/v1/classify", {"text": "hello"}).status == 200
    wait_until(lambda: console.service.bodies.held_bytes == 0)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
@pytest.mark.parametrize("path", ["/v1/classify", "/v1/moderations", "/v1alpha1/comments:analyze"])
def test_what_a_foreign_page_may_post_unasked_is_refused(console: RunningConsole, path: str, kind: str) -> None:
    """Forms and plain text need no leave from the server; JSON does."""
    assert console.ask("POST", path, b"{}", {"content-type": kind}).status == 415


def test_json_may_name_its_charset(console: RunningConsole) -> None:
    """As .NET's and Go's clients do."""
    answer = console.post("/v1/classify", {"text": "hello"}, content_type="Application/JSON; charset=utf-8")
    assert answer.status == 200


@pytest.mark.parametrize(
    "bad",
    [bad for bad in bad_inputs() if bad.reason == "decode_error" and bad.value is not None],
    ids=lambda bad: bad.name,
)
def test_bytes_are_read_as_strictly_as_records(bad: BadInput) -> None:
    """A duplicate key, NaN, a lone surrogate: two readers would take them for two different things."""
    with pytest.raises(Problem) as refused:
        parse_object(bad.value or b"")
    assert refused.value.code == "decode_error"


def test_a_body_of_too_many_values_is_refused_before_it_is_parsed() -> None:
    """Each takes some fifty bytes of memory as an object."""
    with pytest.raises(Problem) as refused:
        parse_object(b'{"a":[' + b"1," * MAX_VALUES + b"1]}")
    assert refused.value.code == "too_large"
