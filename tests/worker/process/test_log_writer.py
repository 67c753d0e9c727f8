"""Nobody waits for whoever reads the log, and what is dropped is counted."""

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest
import structlog

from worker.process import logs
from worker.process.log_writer import LogWriter
from worker.process.metrics import Metrics

LINE = "x" * 999
SMALLEST_PIPE_BYTES = 4_096


class Pipe(NamedTuple):
    """Both ends of the smallest pipe that there is."""

    reader: int
    writer: int

    def read_all(self) -> bytes:
        """Return what is in it."""
        os.set_blocking(self.reader, False)
        parts: list[bytes] = []
        while True:
            try:
                part = os.read(self.reader, 65_536)
            except BlockingIOError:
                return b"".join(parts)
            if not part:
                return b"".join(parts)
            parts.append(part)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    """Return a pipe that nobody reads."""
    found = Pipe(*os.pipe())
    fcntl.fcntl(found.writer, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE_BYTES)
    yield found
    for end in found:
        with contextlib.suppress(OSError):
            os.close(end)


def test_a_full_pipe_holds_nobody_up_and_the_rest_is_counted(pipe: Pipe) -> None:
    """Four lines fit the pipe, ten the queue: the others are dropped, and the reader is told how many."""
    with structlog.testing.capture_logs() as told:
        writer = LogWriter(pipe.writer, max_bytes=10_000)
        for _ in range(100):
            writer.put(LINE)
        assert not writer.drain(0.05)
        assert 80 <= writer.n_dropped <= 95
        read = b""
        while not writer.drain(0.01):
            read += pipe.read_all()
        read += pipe.read_all()
    assert read.splitlines() == [LINE.encode()] * (100 - writer.n_dropped)
    assert {line["event"] for line in told} == {"log_lines_dropped"}
    assert sum(line["n_dropped"] for line in told) == writer.n_dropped


def test_an_error_still_fits_where_other_lines_do_not(pipe: Pipe) -> None:
    """A slow reader should learn why the process ended."""
    writer = LogWriter(pipe.writer, max_bytes=2_000)
    for _ in range(100):
        writer.put(LINE)
    n_dropped = writer.n_dropped
    writer.put("worker_fatal", is_error=True)
    assert writer.n_dropped == n_dropped
    read = b""
    while not writer.drain(0.01):
        read += pipe.read_all()
    assert b"worker_fatal\n" in read + pipe.read_all()


def test_a_pipe_that_nobody_will_read_again_costs_the_lines_alone(pipe: Pipe) -> None:
    """The log collector has died: EPIPE for each line."""
    os.close(pipe.reader)
    writer = LogWriter(pipe.writer)
    for _ in range(3):
        writer.put(LINE)
    assert writer.drain(5)
    assert writer.n_dropped == 3


def test_a_descriptor_that_does_not_block_loses_nothing(pipe: Pipe) -> None:
    """Whoever started the worker may have made it so, as Node does: a full pipe is an error there and no wait."""
    os.set_blocking(pipe.writer, False)
    writer = LogWriter(pipe.writer)
    for number in range(50):
        writer.put(f"{number:03d}{LINE}")
    read = b""
    while not writer.drain(0.01):
        read += pipe.read_all()
    read += pipe.read_all()
    assert [line[:3] for line in read.splitlines()] == [b"%03d" % number for number in range(50)]
    assert writer.n_dropped == 0


def test_lines_of_many_threads_stay_whole(tmp_path: Path) -> None:
    """Each is one record for whoever reads them."""
    path = tmp_path / "log"
    with path.open("wb") as file:
        writer = LogWriter(file.fileno())

        def put_many() -> None:
            for _ in range(200):
                writer.put(LINE)

        threads = [threading.Thread(target=put_many, daemon=True) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert writer.drain(5)
    assert path.read_bytes().splitlines() == [LINE.encode()] * 1_600


def test_a_line_that_a_full_disk_cut_short_does_not_run_into_the_next(
    monkeypatch: pytest.MonkeyPatch, pipe: Pipe
) -> None:
    """Half a record and a whole one, not one broken one."""
    write, calls = os.write, iter([3, OSError(28, "No space left on device")])

    def full_after_three_bytes(descriptor: int, content: bytes) -> int:
        match next(calls, None):
            case OSError() as error:
                raise error
            case int(n_bytes):
                return write(descriptor, bytes(content)[:n_bytes])
        return write(descriptor, content)

    writer = LogWriter(pipe.writer)
    monkeypatch.setattr(os, "write", full_after_three_bytes)
    writer.put("first")
    writer.put("second")
    assert writer.drain(5)
    assert pipe.read_all() == b"fir\nsecond\n"
    assert writer.n_dropped == 1


def test_text_that_is_no_unicode_is_written_all_the_same(pipe: Pipe) -> None:
    """A path with a byte that is no UTF-8 comes as half of a surrogate pair."""
    writer = LogWriter(pipe.writer)
    writer.put("a\udcffb")
    assert writer.drain(5)
    assert pipe.read_all() == b"a\\udcffb\n"


@pytest.mark.usefixtures("default_logging_after")
def test_dropped_lines_are_a_metric() -> None:
    """An alert for a log that has holes."""
    logs.configure("info")
    found = Metrics().registry.get_sample_value("moderation_log_lines_dropped_total")
    assert found == logs._writer().n_dropped


PROGRAM = """
import os, sys, threading
from worker.process import logs
logs.configure("info")
import structlog
log = structlog.get_logger()
for number in range(3): log.info("line", number=number)
{end}
"""
ENDS = {
    "return": "",
    "exit_now": "from worker.process.lifecycle import exit_now; exit_now(0)",
    "crash": "raise ValueError('crashed')",
    "signal": "import signal, time; from worker.process.lifecycle import Lifecycle; life = Lifecycle(grace_s=9); "
    "life.install(); os.kill(os.getpid(), signal.SIGTERM); assert life.stopping.wait(5)",
}


def _program(end: str, stderr: int) -> "subprocess.CompletedProcess[bytes]":
    command = [sys.executable, "-c", PROGRAM.format(end=ENDS[end])]
    return subprocess.run(command, check=False, timeout=60, stderr=stderr)


@pytest.mark.parametrize(
    ("end", "last"),
    [("return", "line"), ("exit_now", "line"), ("crash", "uncaught_exception"), ("signal", "stop_requested")],
)
def test_the_last_lines_are_written_however_the_process_ends(end: str, last: str) -> None:
    """They say why."""
    done = _program(end, subprocess.PIPE)
    written = [orjson.loads(line) for line in done.stderr.splitlines()]
    assert [line.get("number") for line in written[:3]] == [0, 1, 2]
    assert written[-1]["event"] == last
    assert done.returncode == (1 if end == "crash" else 0)


@pytest.mark.parametrize("end", ENDS)
def test_a_process_ends_although_nobody_reads_its_log(end: str, pipe: Pipe) -> None:
    """A full pipe at the end would be a pod that is killed."""
    os.write(pipe.writer, bytes(SMALLEST_PIPE_BYTES))
    assert _program(end, pipe.writer).returncode == (1 if end == "crash" else 0)


def test_a_process_without_standard_error_writes_its_lines_nowhere(tmp_path: Path) -> None:
    """Its number is given to the next file that is opened: log lines would be sent to a broker, or over a bundle."""
    target = tmp_path / "opened-next"
    program = PROGRAM.format(end=f"open({str(target)!r}, 'w').write('mine'); log.error('late'); logs.drain()")
    done = subprocess.run(["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, program], check=False, timeout=60)
    assert (done.returncode, target.read_text()) == (0, "mine")
