"""Run the commit of one batch beside the classification of the next.

At most one commit is in flight, so batches commit in order. A failed commit shows at the next `wait` in the loop; the
rebalance callback uses `settle`, which only waits, because an exception there would tear the poll apart.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait


class CommitPipeline:
    """One background thread with one pending commit."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="commit")
        self._pending: Future[None] | None = None

    def submit(self, commit: Callable[[], None]) -> None:
        """Wait for the commit in flight, then start this one.

        Raises:
            BatchAborted, Fatal: the commit before failed; this one was not started.
        """
        self.wait()
        self._pending = self._executor.submit(commit)

    def check(self) -> None:
        """Raise the error of a commit that has ended; does not wait."""
        if self._pending is not None and self._pending.done():
            self.wait()

    def wait(self) -> None:
        """Wait for the commit in flight and raise its error, once."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def settle(self) -> None:
        """Wait for the commit in flight and leave its result for `wait`."""
        if self._pending is not None:
            wait([self._pending])

    def close(self) -> None:
        """End the thread after the commit in flight."""
        self._executor.shutdown(wait=True)
