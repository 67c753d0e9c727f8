"""The threads that infer, for as long as the classifier is in use.

Woken by bare locks: a `Future` of the standard library wakes a thread, and the caller after it, while the other still
holds the interpreter, which cost a lone chat up to 0.3 ms. They are daemons, since one that is stuck in C code would
hold up the end of the process for ever.

Invariant: whoever leaves a task behind has put another thread in the place of the one that is stuck in it.
"""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

_Answer = TypeVar("_Answer")
_Work = deque["Task[Any]"]


class Task(Generic[_Answer]):
    """One call, made by one of the threads; its answer is waited for once.

    Args:
        call: What to do.
    """

    __slots__ = ("_answer", "_call", "_done", "_error", "slot")

    def __init__(self, call: Callable[[], _Answer]) -> None:
        self._call = call
        self._done = threading.Lock()
        self._done.acquire()
        self._answer: _Answer
        self._error: BaseException | None = None
        self.slot: Slot | None = None
        """Of the thread that has it, or had it; None while it waits for one."""

    def make(self) -> None:
        """Make the call, in the thread that has taken it."""
        try:
            self._answer = self._call()
        except BaseException as error:  # noqa: BLE001  handed to the caller, whatever it is
            self._error = error
        self._done.release()

    def wait(self, timeout_s: float) -> bool:
        """Say whether the call has come back; wait for it so long."""
        return self._done.acquire(timeout=timeout_s)

    def answer(self) -> _Answer:
        """Return what the call returned, or raise what it raised; it must have come back."""
        if self._error is not None:
            raise self._error
        return self._answer


class Slot:
    """Where one thread finds its work."""

    __slots__ = ("go", "is_over", "work")

    def __init__(self) -> None:
        self.go = threading.Lock()
        self.go.acquire()
        self.work: _Work = deque()
        self.is_over = False

    def wake(self) -> None:
        """Let the thread look at its work, now or when it has done what it is at."""
        if self.go.locked():
            self.go.release()


class InferenceThreads:
    """Threads that take the tasks of one caller, first come, first served; they end when this object is gone.

    Args:
        n_threads: At least 1. They inherit the nice value of the thread that makes them.
    """

    def __init__(self, n_threads: int) -> None:
        self._slots = [_started() for _ in range(n_threads)]
        # At the end of the process there is nothing to end.
        weakref.finalize(self, _end, self._slots).atexit = False

    def start(self, tasks: Sequence[Task[_Answer]]) -> _Work:
        """Let the threads make these calls; those of the call before have all come back, or were left behind.

        Returns:
            The tasks that no thread has taken yet; clear it to call them off.
        """
        work: _Work = deque(tasks)
        for slot in self._slots[: len(tasks)]:
            slot.work = work
            slot.wake()
        return work

    def leave_behind(self, task: Task[_Answer]) -> None:
        """Put another thread in the place of the one that is stuck in this task."""
        stuck = task.slot
        if stuck is None or stuck.is_over:
            return
        stuck.is_over = True
        fresh = _started()
        self._slots[self._slots.index(stuck)] = fresh
        fresh.work = stuck.work
        fresh.wake()


def _started() -> Slot:
    slot = Slot()
    threading.Thread(target=_serve, args=(slot,), name="inference", daemon=True).start()
    return slot


def _end(slots: list[Slot]) -> None:
    for slot in slots:
        slot.is_over = True
        slot.wake()


def _serve(slot: Slot) -> None:
    while True:
        slot.go.acquire()
        work = slot.work
        while not slot.is_over and work:
            try:
                task = work.popleft()
            except IndexError:
                # Another thread was quicker.
                break
            task.slot = slot
            task.make()
            # A thread that sleeps must not keep the rows of its last batch.
            del task
        if slot.is_over:
            return
