"""A thread that works in turns, woken early where there is something to do.

Invariant: no fault ends it. What it sends stands in the database until it is sent, and somebody must go on trying.
"""

import threading
from collections.abc import Callable
from typing import Final

import structlog

from console.store.store import StoreAway

log = structlog.get_logger()

_PAUSE_S: Final = 1.0
"""After a fault."""
_CLOSE_S: Final = 15.0


class TurnThread:
    """The thread.

    Args:
        name: Of the thread.
        turn: Does what is to be done now, and returns the seconds after which it is to be called again at the latest.
        end: Called in the thread after its last turn.
    """

    def __init__(self, name: str, turn: Callable[[], float], end: Callable[[], None]) -> None:
        self._name = name
        self._turn = turn
        self._end = end
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start it."""
        self._thread.start()

    def wake(self) -> None:
        """Have the next turn begin at once; may be called in any thread."""
        self._woken.set()

    def _run(self) -> None:
        is_away = False
        while not self._closing.is_set():
            # Before the turn: what is put while it runs wakes the next one.
            self._woken.clear()
            try:
                wait_s = self._turn()
                is_away = False
            except StoreAway as error:
                wait_s = _PAUSE_S
                if not is_away:
                    log.warning("store_away", thread=self._name, error=str(error), consequence="nothing is sent")
                is_away = True
            except Exception:
                # Without this thread nothing would be sent any more, and nothing else would show it.
                log.exception("turn_failed", thread=self._name)
                wait_s = _PAUSE_S
            self._woken.wait(wait_s)
        try:
            self._end()
        except StoreAway as error:
            log.warning("store_away", thread=self._name, error=str(error), consequence="the lease runs out by itself")

    def close(self) -> None:
        """End it after the turn in hand."""
        self._closing.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join(_CLOSE_S)
