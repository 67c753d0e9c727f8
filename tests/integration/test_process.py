"""The worker as a process beside a broker: a log that nobody reads, a port that others use badly."""

import contextlib
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from deploy.local.ports import LOOPBACK, free_ports
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess, child_environment
from tests.integration.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples, status_of
from tests.integration.workers import REPOSITORY
from worker.process.health import MAX_CONNECTIONS

pytestmark = pytest.mark.services

EXIT_USAGE = 2


@pytest.fixture
def port() -> int:
    """Return a free port for the worker's health endpoints."""
    return free_ports(1)[0]


class Unread:
    """A worker whose standard error is a pipe that nobody reads, full from the start.

    Args:
        settings: All of its settings.
    """

    def __init__(self, settings: Settings) -> None:
        self.reader, writer = os.pipe()
        n_bytes = fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4_096)
        os.write(writer, bytes(n_bytes))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "worker", "run"],
            cwd=REPOSITORY,
            env=child_environment(os.environ, settings),
            stdin=subprocess.DEVNULL,
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)

    def stop(self) -> int:
        """Ask for the end, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40)

    def close(self) -> None:
        """End it in any case."""
        self.process.kill()
        self.process.wait()
        with contextlib.suppress(OSError):
            os.close(self.reader)


@pytest.fixture
def unread(settings: Settings, port: int) -> Iterator[Unread]:
    """Return a worker that logs a line for every batch, and more, into a full pipe."""
    more = {
        "MODERATION_HTTP__PORT": str(port),
        "MODERATION_LOG__LEVEL": "debug",
        "MODERATION_BATCH__MAX_RECORDS": "10",
    }
    worker = Unread(settings | more)
    yield worker
    worker.close()


def test_a_log_that_nobody_reads_stops_neither_verdicts_nor_the_end(
    unread: Unread, ledger: LiveLedger, sample_chats: list[dict[str, Any]], port: int
) -> None:
    """The collector hangs: every verdict is published all the same, probes answer, and SIGTERM ends it with 0."""
    ledger.send(short_events(sample_chats, 300, n_chats=100))
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert status_of(port, "/livez") == 200
    assert unread.stop() == 0


def test_a_log_whose_reader_has_died_stops_neither_verdicts_nor_the_end(
    unread: Unread, ledger: LiveLedger, sample_chats: list[dict[str, Any]], port: int
) -> None:
    """Every line is an error of the system then, and counted."""
    os.close(unread.reader)
    ledger.send(short_events(sample_chats, 300, n_chats=100))
    ledger.wait_complete()
    ledger.assert_exactly_once()
    assert samples(port, "moderation_log_lines_dropped_total")[()] > 0
    assert unread.stop() == 0


def test_every_line_of_a_run_is_json_with_its_time(
    start_worker: StartWorker, ledger: LiveLedger, sample_chats: list[dict[str, Any]]
) -> None:
    """From the start to the stop, those of signal handlers and of the client library among them."""
    worker = start_worker(LOG__LEVEL="debug")
    ledger.send(sample_chats[:5])
    ledger.wait_complete()
    assert worker.stop() == 0
    lines = [orjson.loads(line) for line in worker.log_path.read_bytes().splitlines()]
    assert {"worker_started", "stop_requested", "worker_stopped"} <= {line["event"] for line in lines}
    assert all({"event", "level", "timestamp"} <= line.keys() for line in lines)


def test_a_port_in_use_ends_the_start_with_2_and_the_remedy(start_worker: StartWorker) -> None:
    """Two workers on one machine: not a traceback, and nothing that a restart would mend."""
    (port,) = free_ports(1)
    # Not one that outgoing connections are given: Linux lets a listener share such a port now and then.
    with socket.create_server((LOOPBACK, port)):
        worker = start_worker(HTTP__PORT=str(port))
        assert worker.wait_exit() == EXIT_USAGE
    (line,) = worker.events("worker_fatal")
    assert "MODERATION_HTTP__PORT" in line["error"]
    assert "Address already in use" in line["error"]
    assert "Traceback" not in worker.tail()


def _is_closed(connection: socket.socket) -> bool:
    connection.settimeout(0.2)
    try:
        return connection.recv(1) == b""
    except TimeoutError:
        return False


def test_probes_answer_over_ipv6_and_ipv4_while_others_hold_connections_open(
    start_worker: StartWorker, port: int
) -> None:
    """A cluster of IPv6 listens on `::`; slow and broken clients cost neither an answer nor a line."""
    worker = start_worker(HTTP__HOST="::", HTTP__PORT=str(port))
    wait_until(lambda: status_of(port, "/readyz") == 200, timeout_s=60, what=worker.tail)
    slow = [socket.create_connection(("::1", port)) for _ in range(60)]
    try:
        for connection in slow:
            connection.sendall(b"GET /livez HTTP/1.1\r\n")
        for _ in range(5):
            assert WorkerProcess.get(port, "/readyz?verbose")[0] == 200
        opened = [connection for connection in slow if not _is_closed(connection)]
        assert len(opened) <= MAX_CONNECTIONS
    finally:
        for connection in slow:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
    assert worker.stop() == 0
    assert "Traceback" not in worker.tail()
    assert not worker.events("health_request_failed")
