"""Run the commit of one batch beside the classification of the next.

The consumer client lets one thread at a time call it, and a thread in poll() keeps the others out. So a commit that
calls the consumer (at-least-once delivery) runs in the foreground, and a transaction is handed the group metadata.

At most one commit is in flight, so batches commit in order. A failed commit shows at the next `wait` in the loop; the
rebalance callback uses `settle`, which only waits, because an exception there would tear the poll apart.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

_MEANWHILE_EVERY_S: Final = 1.0


class CommitPipeline:
    """At most one pending commit.

    Args:
        background: Whether commits run in a thread of their own.
    """

    def __init__(self, *, background: bool) -> None:
        self._background = background
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._pending: Future[None] | None = None

    def submit(self, commit: Callable[[], None]) -> None:
        """Start this commit; the one before must have been waited for.

        Raises:
            BatchAborted, Fatal: in the foreground, what this commit raised.
        """
        if self._background:
            self._pending = self._executor.submit(commit)
        else:
            commit()

    def check(self) -> None:
        """Raise the error of a commit that has ended; does not wait."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def wait(self, meanwhile: Callable[[], object] | None = None) -> None:
        """Wait for the commit in flight and raise its error, once.

        Args:
            meanwhile: Called about once a second while the wait lasts.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return
        while meanwhile is not None and not wait([pending], timeout=_MEANWHILE_EVERY_S).done:
            meanwhile()
        pending.result()

    def settle(self) -> None:
        """Wait for the commit in flight and leave its result for `wait`."""
        if self._pending is not None:
            wait([self._pending])

    def close(self) -> None:
        """End the thread after the commit in flight."""
        self._executor.shutdown(wait=True)
