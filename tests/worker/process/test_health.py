"""The health port: it answers whatever other clients do, on every address, and says what is wrong where it cannot."""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from prometheus_client import CollectorRegistry, Gauge

from testkit.waiting import wait_until
from worker.errors import SettingsError
from worker.process.health import MAX_CONNECTIONS, HealthServer

Serve = Callable[..., HealthServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a server; keyword arguments stand in place of the usual ones."""
    started = []

    def start(**changed: Any) -> HealthServer:
        registry = CollectorRegistry()
        Gauge("moderation_up", "Here.", registry=registry).set(1)
        usual: dict[str, Any] = {
            "host": "127.0.0.1",
            "port": 0,
            "live": lambda: None,
            "ready": lambda: "stopping",
            "registry": registry,
        }
        usual |= changed
        server = HealthServer(**usual)
        started.append(server)
        return server

    yield start
    for server in started:
        server.close()


def ask(server: HealthServer, path: str, *, method: str = "GET", host: str = "127.0.0.1") -> tuple[int, bytes]:
    """Return status and body."""
    connection = http.client.HTTPConnection(host, server.port, timeout=20)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/livez", 200, b"ok\n"),
        ("/readyz", 503, b"stopping\n"),
        ("/livez?verbose", 200, b"ok\n"),
        ("/readyz?timeout=1s&x=%20", 503, b"stopping\n"),
        ("/livez/", 404, b"expected /livez, /readyz or /metrics\n"),
        ("/", 404, b"expected /livez, /readyz or /metrics\n"),
    ],
)
def test_probes_answer_with_and_without_a_query(serve: Serve, path: str, status: int, body: bytes) -> None:
    """Load balancers and people put a query behind them."""
    server = serve()
    assert ask(server, path) == (status, body)
    assert ask(server, path, method="HEAD") == (status, b"")


def test_an_answer_holds_no_credentials_of_an_address(serve: Serve) -> None:
    """Whoever reaches the port reads it; what a check says may be the text of an error."""
    server = serve(ready=lambda: "cannot reach user:hunter2@broker:9092")
    assert ask(server, "/readyz") == (503, b"cannot reach ***@broker:9092\n")


def test_metrics_answer_with_and_without_a_query(serve: Serve) -> None:
    """Prometheus sends `params` of its configuration as one."""
    server = serve()
    assert b"moderation_up 1.0" in ask(server, "/metrics")[1]
    assert b"moderation_up 1.0" in ask(server, "/metrics?name[]=moderation_up")[1]
    status, body = ask(server, "/metrics", method="HEAD")
    assert (status, body) == (200, b"")


@pytest.mark.parametrize(
    ("host", "asked"),
    [
        ("::", "::1"),
        ("::", "127.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("0.0.0.0", "127.0.0.1"),  # noqa: S104  a pod listens on all of its addresses
        ("localhost", "127.0.0.1"),
        ("", "127.0.0.1"),
    ],
)
def test_every_kind_of_address_is_listened_on(serve: Serve, host: str, asked: str) -> None:
    """Clusters with IPv6 alone, and with both."""
    assert ask(serve(host=host), "/livez", host=asked) == (200, b"ok\n")


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "a" * 70, "1.2.3.4.5"])
def test_an_address_of_another_machine_is_refused_with_the_setting(serve: Serve, host: str) -> None:
    """Not a traceback: the operator has mistyped something."""
    with pytest.raises(SettingsError, match=r"MODERATION_HTTP__HOST.*expected an address of this machine"):
        serve(host=host)


def test_a_port_in_use_is_refused_with_the_remedy(serve: Serve) -> None:
    """Two workers on one machine, the commonest mistake of all."""
    port = serve().port
    with pytest.raises(SettingsError, match=rf"port {port} \(Address already in use\).*choose another port"):
        serve(port=port)


def test_slow_clients_do_not_keep_a_probe_from_its_answer(serve: Serve) -> None:
    """Connections that ask nothing, more than there may be; threads stay bounded, and the oldest ones are dropped."""
    server = serve()
    before = threading.active_count()
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(5 * MAX_CONNECTIONS)]
    try:
        for connection in slow:
            connection.sendall(b"GET /livez HTTP/1.1\r\nX: ")
        for _ in range(20):
            assert ask(server, "/livez") == (200, b"ok\n")
        assert threading.active_count() - before <= 2 * MAX_CONNECTIONS
        slow[0].settimeout(10)
        assert slow[0].recv(1) == b"", "the oldest is closed"
    finally:
        for connection in slow:
            connection.close()


def test_a_client_that_never_ends_its_request_is_dropped_after_the_deadline(serve: Serve) -> None:
    """One byte now and then would keep any time-out of a single read from passing."""
    server = serve(deadline_s=0.1)
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(b"GET /li")
        assert slow.recv(1) == b""


def test_a_client_that_never_reads_its_answer_is_dropped_after_the_deadline(serve: Serve) -> None:
    """Metrics of megabytes fill the socket, and the thread waits."""
    registry = CollectorRegistry()
    Gauge("moderation_up", "x" * 20_000_000, registry=registry).set(1)
    server, before = serve(deadline_s=1.0, registry=registry), threading.active_count()
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert slow.recv(8) == b"HTTP/1.0"
        wait_until(lambda: threading.active_count() <= before, timeout_s=10, what=lambda: "the thread goes on")


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.0\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"\xff\n\n"])
def test_a_client_that_resets_its_connection_is_not_told_of(
    serve: Serve, sent: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    """Scanners and load balancers do so all day: a traceback each would be the log."""
    server = serve()
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            connection = socket.create_connection(("127.0.0.1", server.port))
            # Closing is a reset then.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(sent)
            connection.close()
        assert ask(server, "/livez") == (200, b"ok\n")
        server.close()
    assert lines == []
    assert capfd.readouterr().err == ""


def test_a_check_that_fails_is_one_log_line(serve: Serve, capfd: pytest.CaptureFixture[str]) -> None:
    """A fault of ours must not be silent as a client's is, nor a traceback between the lines."""

    def broken() -> str | None:
        raise KeyError("fault")

    server = serve(live=broken)
    with structlog.testing.capture_logs() as lines:
        with pytest.raises(http.client.RemoteDisconnected):
            ask(server, "/livez")
        wait_until(lambda: lines, timeout_s=10, what=lambda: "no line")
    assert [(line["event"], line["log_level"]) for line in lines] == [("health_request_failed", "error")]
    assert capfd.readouterr().err == ""
    assert ask(server, "/readyz") == (503, b"stopping\n")
