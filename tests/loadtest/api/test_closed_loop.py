"""Clients in a closed loop: counts, statuses and latencies of a server that does as it is told."""

import socket
from collections.abc import Iterator
from http.server import ThreadingHTTPServer

import pytest

from loadtest.api.closed_loop import Answers, Connection, run_clients
from loadtest.api.command import bodies_for
from loadtest.errors import LoadTestError
from tests.loadtest.api.scripted import ScriptedHandler, serving


class Scripted(ThreadingHTTPServer):
    """Answers with the status that a body names; notes what it was sent."""

    daemon_threads = True

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.paths: set[str] = set()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(ScriptedHandler):
    server: Scripted

    def posted(self, body: bytes) -> None:
        self.server.bodies.append(body)
        self.server.paths.add(self.path)
        if body == b"0":
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.answer(int(body), b"ok")


@pytest.fixture
def server() -> Iterator[Scripted]:
    """Return a running server."""
    with serving(Scripted()) as scripted:
        yield scripted


def test_every_status_is_counted_and_a_broken_connection_is_none(server: Scripted) -> None:
    """A server that drops what it cannot do must not look fast."""
    url = f"http://127.0.0.1:{server.server_port}/path"
    connection = Connection(url)
    assert [connection.ask(body) for body in (b"200", b"429", b"0", b"200")] == [200, 429, 0, 200]
    connection.close()
    assert server.paths == {"/path"}


def test_clients_share_the_bodies_and_only_answers_in_time_count(server: Scripted) -> None:
    """The rate is of status 200 alone."""
    url = f"http://127.0.0.1:{server.server_port}/"
    answers = run_clients(url, [b"200", b"429"], n_clients=4, seconds=0.5)
    assert set(answers.statuses) == {200, 429}
    assert sum(answers.statuses.values()) <= len(server.bodies)
    assert len(answers.latencies_s) == answers.statuses[200]
    assert answers.per_s == answers.statuses[200] / 0.5


def test_a_summary_has_the_median_and_the_slowest_hundredth() -> None:
    """In milliseconds; nothing where nothing came."""
    answers = Answers([i / 1_000 for i in range(1, 101)], elapsed_s=2.0)
    answers.statuses[200] = 100
    assert answers.summary() == {"per_s": 50.0, "p50_ms": 50.5, "p99_ms": 99.99, "statuses": {"200": 100}}
    assert Answers(elapsed_s=1.0).summary() == {"per_s": 0.0, "p50_ms": None, "p99_ms": None, "statuses": {}}


def test_a_server_may_want_a_list_under_a_name() -> None:
    """The fragment of an address is never sent."""
    assert bodies_for("http://a.example/classify#events", [b"{}"]) == [b'{"events":[{}]}']
    assert bodies_for("http://a.example/classify", [b"{}"]) == [b"{}"]


def test_an_address_that_is_none_is_refused() -> None:
    """TLS is not measured here."""
    with pytest.raises(LoadTestError, match="expected http://"):
        Connection("https://a.example/")
