"""What the proxy does to a line: each fault is seen by a client, and taken off again."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from testkit.errors import HarnessError
from testkit.fault_proxy import LOOPBACK, FaultProxy, KafkaApi
from testkit.link_faults import LinkFaults
from testkit.waiting import wait_until


class _Echo:
    """A server that says everything back, after a greeting where it has one."""

    def __init__(self, greeting: bytes = b"") -> None:
        self._greeting = greeting
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with suppress(OSError), link:
            link.sendall(self._greeting)
            while chunk := link.recv(65_536):
                link.sendall(chunk)

    def close(self) -> None:
        # Closed twice.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def echo() -> Iterator[_Echo]:
    """Return a server that says everything back."""
    server = _Echo()
    yield server
    server.close()


def connect(proxy: FaultProxy) -> socket.socket:
    """Return a client of the proxy, which waits 10 s at most."""
    return socket.create_connection((LOOPBACK, proxy.port), timeout=10)


def read(link: socket.socket, n_bytes: int) -> bytes:
    """Return so many bytes; fewer where the line ended."""
    found = b""
    while len(found) < n_bytes and (chunk := link.recv(65_536)):
        found += chunk
    return found


def test_a_healthy_line_passes_everything_on_in_order_and_its_end(echo: _Echo) -> None:
    """A megabyte there and back; then both sides learn that the other has finished."""
    content = bytes(range(256)) * 4_096
    with FaultProxy(echo.port) as proxy, connect(proxy) as link:
        threading.Thread(target=link.sendall, args=(content,), daemon=True).start()
        assert read(link, len(content)) == content
        link.shutdown(socket.SHUT_WR)
        assert link.recv(1) == b""


def test_latency_and_bandwidth_are_at_least_what_they_say(echo: _Echo) -> None:
    """Lower bounds only: a busy machine may be later, never earlier."""
    with FaultProxy(echo.port) as proxy, connect(proxy) as link:
        proxy.faults = LinkFaults(latency_s=0.1, bytes_per_s=100_000)
        started = time.monotonic()
        link.sendall(b"x" * 10_000)
        assert len(read(link, 10_000)) == 10_000
        # Twice the latency, and 10 kB at 100 kB/s on the way there and on the way back.
        assert time.monotonic() - started >= 0.3


def test_lost_packets_are_sent_again_and_nothing_is_missing(echo: _Echo) -> None:
    """TCP above a bad line: late, whole and in order."""
    content = bytes(range(256)) * 400
    with FaultProxy(echo.port) as proxy, connect(proxy) as link:
        proxy.faults = LinkFaults(loss_ratio=0.05, resend_s=0.01, jitter_s=0.01)
        link.sendall(content)
        assert read(link, len(content)) == content


def test_a_silent_line_takes_bytes_and_delivers_them_when_it_speaks_again(echo: _Echo) -> None:
    """Nobody is told: neither of a silence nor, during it, of the other side's end."""
    with FaultProxy(echo.port) as proxy, connect(proxy) as link:
        link.sendall(b"before")
        assert read(link, 6) == b"before"
        proxy.faults = LinkFaults(is_silent=True)
        link.sendall(b"during")
        link.settimeout(0.3)
        with pytest.raises(TimeoutError):
            link.recv(1)
        proxy.heal()
        link.settimeout(10)
        assert read(link, 6) == b"during"


def test_a_cut_resets_what_is_open_and_a_new_target_takes_what_comes(echo: _Echo) -> None:
    """As after a failover: the same address, another server."""
    other = _Echo(b"other")
    with FaultProxy(echo.port) as proxy:
        with connect(proxy) as link:
            link.sendall(b"x")
            assert read(link, 1) == b"x"
            proxy.lead_to(other.port)
            proxy.cut()
            with suppress(ConnectionResetError):
                assert link.recv(1) == b""
        with connect(proxy) as link:
            assert read(link, 5) == b"other"
    other.close()


def test_a_target_that_is_not_there_ends_the_connection(echo: _Echo) -> None:
    """As a refused connection, as far as a proxy can."""
    echo.close()
    with FaultProxy(echo.port) as proxy, connect(proxy) as link, suppress(ConnectionResetError):
        assert link.recv(1) == b""


def message(api: KafkaApi, number: int) -> bytes:
    """Return a Kafka request. The echo's reply has its number where a reply has it not, so it is put there too."""
    body = api.to_bytes(2) + (0).to_bytes(2) + number.to_bytes(4)
    return len(body).to_bytes(4) + body


def test_a_message_of_one_kind_is_held_and_passed_on_or_lost(echo: _Echo) -> None:
    """Others pass before it comes; those behind it wait, as the bytes of one connection do."""
    with FaultProxy(echo.port, speaks_kafka=True) as proxy, connect(proxy) as link:
        first, held, last = message(KafkaApi.FETCH, 1), message(KafkaApi.END_TXN, 2), message(KafkaApi.FETCH, 3)
        hold = proxy.hold(KafkaApi.END_TXN, "request")
        link.sendall(first + held + last)
        assert read(link, len(first)) == first
        wait_until(lambda: hold.n_held == 1, timeout_s=10, what=lambda: "nothing was held")
        hold.release()
        assert read(link, len(held + last)) == held + last
        hold = proxy.hold(KafkaApi.END_TXN, "request")
        link.sendall(held + last)
        wait_until(lambda: hold.n_held == 1, timeout_s=10, what=lambda: "nothing was held")
        hold.drop()
        assert read(link, len(last)) == last


def test_a_proxy_that_passes_bytes_holds_no_messages(echo: _Echo) -> None:
    """It would hold nothing, and the test that asked for it would show nothing."""
    with FaultProxy(echo.port) as proxy, pytest.raises(HarnessError, match="speaks_kafka"):
        proxy.hold(KafkaApi.END_TXN, "reply")
