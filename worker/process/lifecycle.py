"""When the worker stops: on a signal, after the batch in hand; by force when that takes longer than the grace time.

With the exit codes of all commands, for shells and orchestrators.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

import structlog

from worker.process import logs

log = structlog.get_logger()

EXIT_UNEXPECTED: Final = 1
EXIT_USAGE: Final = 2
EXIT_FATAL: Final = 3
EXIT_CUT: Final = 4
"""Exit code when the grace time ran out before the batch in hand was committed."""
EXIT_NOT_CACHED: Final = 5
EXIT_CACHE_AWAY: Final = 6
EXIT_STOPPED_EARLY: Final = 7
EXIT_RECORDS_LOST: Final = 8
EXIT_NOT_BALANCED: Final = 9


class Lifecycle:
    """Stop flag and heartbeat of one worker.

    Args:
        grace_s: After a signal, longest time until the process ends by itself.
    """

    def __init__(self, *, grace_s: float) -> None:
        self.stopping = threading.Event()
        self._grace_s = grace_s
        self._last_beat = time.monotonic()
        self._watchdog: threading.Timer | None = None

    def install(self) -> None:
        """Let SIGTERM and SIGINT ask for a stop. Main thread only."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if self.stopping.is_set():
            return
        # The watchdog first: setting an event may wait for ever where the interrupted code is inside its lock.
        self.must_end_in_time()
        self.stopping.set()
        # Safe here: the way of a line takes no lock that the interrupted code may hold.
        log.info("stop_requested", signal=number)

    @staticmethod
    def on_hangup(ask: Callable[[], None]) -> None:
        """Call this on SIGHUP, by which daemons are told to read their files again. Main thread only."""
        signal.signal(signal.SIGHUP, lambda _number, _frame: ask())

    def must_end_in_time(self) -> None:
        """End the process by force after the grace time: a client that waits for an absent broker may never return."""
        self._watchdog = threading.Timer(self._grace_s, self._cut)
        self._watchdog.daemon = True
        self._watchdog.start()

    def linger(self, seconds: float) -> None:
        """Wait, with everything closed but the health port; a signal ends it at once.

        Whoever collects metrics once in a while would otherwise never see the last figures of a process that fails.
        """
        if self.stopping.is_set():
            return
        # The end is in order by now: it takes its time.
        if self._watchdog is not None:
            self._watchdog.cancel()
        self.stopping.wait(seconds)

    def _cut(self) -> None:
        log.error("stop_cut", grace_s=self._grace_s, exit_code=EXIT_CUT)
        logs.drain()
        # The batch in hand is not committed; it will be read again.
        os._exit(EXIT_CUT)

    def beat(self) -> None:
        """Note that the loop came round."""
        self._last_beat = time.monotonic()

    @property
    def silent_s(self) -> float:
        """Seconds since the loop last came round."""
        return time.monotonic() - self._last_beat


def exit_now(code: int) -> NoReturn:
    """End without joining client threads, which may wait for a broker that is away."""
    logs.drain()
    for stream in (sys.stderr, sys.stdout):
        # None where the process was started without it.
        if stream is not None:
            stream.flush()
    os._exit(code)
