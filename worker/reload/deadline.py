"""Tell of a look that does not end: a hung volume answers no call, and no thread can be called back from it."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Deadline:
    """Bounds the time of the block that it is entered for, again and again; the block itself is not ended.

    Args:
        deadline_s: Longest time of the block.
        overdue: Called in a thread of its own when a block takes longer, once for each.
        over: Called in the block's thread when such a block ends after all.
    """

    def __init__(self, deadline_s: float, *, overdue: Callable[[], None], over: Callable[[], None]) -> None:
        self._deadline_s = deadline_s
        self._overdue = overdue
        self._over = over
        self._lock = threading.Lock()
        self._is_told = False
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Self:
        self._is_told = False
        self._timer = threading.Timer(self._deadline_s, self._tell)
        self._timer.daemon = True
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        if self._is_told:
            self._over()

    def _tell(self) -> None:
        # Under the lock, so that a block which ends now is not called overdue after it has ended.
        with self._lock:
            if self._timer is not None:
                self._is_told = True
                self._overdue()
