"""Write log lines in a thread of its own, so that nobody waits for whoever reads them.

A pipe that nobody reads takes 64 KiB, and the next write to it waits without end; so does a terminal that was stopped.

Invariant: `put` never waits and never raises. What does not fit or cannot be written is dropped and counted.
"""

import os
import queue
import select
import threading
from typing import Final

import structlog

log = structlog.get_logger()

MAX_WAITING_BYTES: Final = 4_000_000
"""Of lines that wait to be written: about 10,000 of the usual size."""
_ROOM_FOR_ERRORS_BYTES: Final = 1_000_000
"""Beyond it, for errors alone: a slow reader should still learn why the process ended."""


class LogWriter:
    """Takes lines from any thread, signal handlers included, and writes them to one descriptor.

    Args:
        descriptor: What it writes to; never closed here.
        max_bytes: Of lines that wait.
    """

    def __init__(self, descriptor: int, *, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self._descriptor = descriptor
        self._max_bytes = max_bytes
        # Reentrant, both: a signal handler may interrupt a `put` of its own thread.
        self._lines: queue.SimpleQueue[bytes | threading.Event] = queue.SimpleQueue()
        self._lock = threading.RLock()
        self._n_waiting_bytes = 0
        self._n_dropped = 0
        self._n_told = 0
        self._is_torn = False
        threading.Thread(target=self._run, name="log", daemon=True).start()

    @property
    def n_dropped(self) -> int:
        """Lines that were not written, or not whole."""
        return self._n_dropped

    def put(self, line: str, *, is_error: bool = False) -> None:
        """Take a line, without its end, or drop it."""
        # Text from outside may hold half of a surrogate pair.
        raw = line.encode(errors="backslashreplace") + b"\n"
        room = self._max_bytes + (_ROOM_FOR_ERRORS_BYTES if is_error else 0)
        with self._lock:
            if self._n_waiting_bytes + len(raw) > room:
                self._n_dropped += 1
                return
            self._n_waiting_bytes += len(raw)
        self._lines.put(raw)

    def drain(self, timeout_s: float) -> bool:
        """Wait until all lines that were put before are written; False where that takes too long."""
        reached = threading.Event()
        self._lines.put(reached)
        return reached.wait(timeout_s)

    def _run(self) -> None:
        while True:
            item = self._lines.get()
            if isinstance(item, threading.Event):
                item.set()
                continue
            is_written = self._write(item)
            with self._lock:
                self._n_waiting_bytes -= len(item)
                self._n_dropped += not is_written
                n_new = self._n_dropped - self._n_told
                if is_written:
                    self._n_told = self._n_dropped
            if is_written and n_new:
                log.warning("log_lines_dropped", n_dropped=n_new)

    def _write(self, line: bytes) -> bool:
        """Write a line; False where it cannot be written. Waits for as long as a pipe is full."""
        # What an error has cut short must not run into the next line.
        rest = memoryview(b"\n" + line if self._is_torn else line)
        n_bytes = len(rest)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:
                # Whoever shares the descriptor has made it one that does not wait.
                ready = select.poll()
                ready.register(self._descriptor, select.POLLOUT)
                ready.poll()
            except OSError:
                self._is_torn = self._is_torn or len(rest) < n_bytes
                return False
        self._is_torn = False
        return True
