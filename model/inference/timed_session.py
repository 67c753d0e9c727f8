"""Inference under a watch: a run that outlasts its time is ended, and one that cannot be ended is left behind.

ONNX Runtime looks at a run's terminate flag between two operators. So a run in a loop of operators ends, and a run in
one operator without end does not. A thread in C code cannot be ended from outside: it is left with its session, and
another of each takes their place.

The caller waits for its runs anyway, so it is the one that looks at the clock: there is no timer, and no thread is
started for a run.

Invariant: every row has one answer, and besides its work a call takes at most `LONGEST_STALL` time-outs.
"""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Protocol, Self, TypeVar

from model.calibration import FloatArray
from model.errors import InferenceStalled, RowFailed
from model.inference.onnx_runtime import RUN_ERRORS, ort
from model.inference.session import OnnxSession
from model.inference.threads import InferenceThreads, Task
from model.tokenization import TokenIds

DEFAULT_TIMEOUT_S: Final = 10.0
"""A hundred times the longest run on a slow core: a pod that is throttled must not pass for a model in a loop."""

MAX_TIMEOUTS: Final = 3
"""Late runs of one call; one more, and it gives up. A slow row takes two: one with its neighbours and one alone."""

LONGEST_STALL: Final = 2 * (MAX_TIMEOUTS + 1) + 1
"""In time-outs: each late run has one until it is ended and one to end in, and so have those that are left at last."""

MAX_ABANDONED: Final = 2
"""Sessions left behind, after which the process should end: each holds a model in memory and keeps a core busy."""

_NO_LOG: Final = 4

_EXPECTED: Final = "expected milliseconds; look at the bundle, or raise MODERATION_MODEL__TIMEOUT_S"


class Batch(Protocol):
    """Rows of one inference."""

    def alone(self) -> list[Self]:
        """Return one batch for each row."""
        ...


_Batch = TypeVar("_Batch", bound=Batch)
_Answer = TypeVar("_Answer")


class TimedOut(Exception):  # noqa: N818  the name says what happened
    """The run was ended by its terminate flag, or left behind."""


class TimedRun:
    """A session in the hands of one thread for one batch; after a run that was ended it makes no other.

    Args:
        session: Shared with other threads.
    """

    def __init__(self, session: OnnxSession) -> None:
        self.session = session
        self._current: tuple[float, ort.RunOptions] | None = None
        self._ended_s: float | None = None
        self.is_abandoned = False

    def logits(self, rows: Sequence[TokenIds]) -> FloatArray:
        """Return what `OnnxSession.logits` returns.

        Raises:
            One of `RUN_ERRORS`: the model failed on this batch.
        """
        options = ort.RunOptions()
        # What goes wrong is raised; ONNX Runtime would print it as well, between the log's lines of JSON.
        options.log_severity_level = _NO_LOG
        # Before the look at the end, so that `end` sees the run where the run does not see the end.
        self._current = time.monotonic(), options
        try:
            if self._ended_s is not None:
                raise TimedOut
            return self.session.logits(rows, options)
        except RUN_ERRORS as error:
            if options.terminate:
                raise TimedOut from error
            raise
        finally:
            self._current = None

    def end(self) -> None:
        """Let the run in progress end at its next operator, and none begin."""
        if self._ended_s is None:
            self._ended_s = time.monotonic()
        if (current := self._current) is not None:
            current[1].terminate = True

    def left_s(self, timeout_s: float) -> float | None:
        """Return the seconds until the run is late, or, where it was ended, should be over; None where none runs."""
        current, now_s = self._current, time.monotonic()
        if current is None:
            return None
        # From its end on, a run has the time-out once more: a process that slept finds the first long past.
        return (current[0] if self._ended_s is None else self._ended_s) + timeout_s - now_s

    @property
    def is_ended(self) -> bool:
        """Whether it was told to end."""
        return self._ended_s is not None


_Started = Sequence[tuple[TimedRun, Task[_Answer]]]


class TimedSessions:
    """Runs batches on the sessions of one model: several side by side, a lone one on all threads.

    Args:
        load: Loads the model for so many threads.
        n_threads: Threads of a lone batch, and batches that run side by side, at least 1.
        timeout_s: Longest time of one run; one that takes as long again to end is left behind.

    Raises:
        BundleError: the model does not load.
    """

    def __init__(self, load: Callable[[int], OnnxSession], *, n_threads: int, timeout_s: float) -> None:
        self._load = load
        self._n_threads = n_threads
        self._timeout_s = timeout_s
        self.lone = load(n_threads)
        self.parallel = load(1) if n_threads > 1 else self.lone
        self._threads = InferenceThreads(n_threads)
        self.n_timeouts = 0
        """Late runs of the last call."""
        self.n_abandoned = 0
        """Sessions that it left behind."""
        self.n_abandoned_in_all = 0

    def run(
        self, call: Callable[[TimedRun, _Batch], list[_Answer]], batches: Sequence[_Batch]
    ) -> list[list[_Answer | RowFailed]]:
        """Return the answers of `call` to each batch, one a row. The rows of a batch that is late run once more, alone.

        Raises:
            InferenceStalled: more than `MAX_TIMEOUTS` runs were late.
            BundleError: a session was left behind and the model does not load again.
        """
        self.n_timeouts = self.n_abandoned = 0
        answers: list[list[_Answer | RowFailed]] = []
        for batch, found in zip(batches, self._answers(call, batches), strict=True):
            if found is not None:
                answers.append([*found])
                continue
            alone = self._answers(call, batch.alone())
            answers.append([RowFailed(self._late_text()) if row is None else row[0] for row in alone])
        return answers

    def _late_text(self) -> str:
        return (
            f"the model gave no answer within {self._timeout_s:g} s, twice, the second time to this row alone; "
            f"{_EXPECTED}"
        )

    def _answers(
        self, call: Callable[[TimedRun, _Batch], list[_Answer]], batches: Sequence[_Batch]
    ) -> list[list[_Answer] | None]:
        """Return the answers to each batch, None where its run was late."""
        session = self.lone if len(batches) == 1 else self.parallel
        runs = [TimedRun(session) for _ in batches]
        tasks = [Task(partial(call, run, batch)) for run, batch in zip(runs, batches, strict=True)]
        started = list(zip(runs, tasks, strict=True))
        waiting = self._threads.start(tasks)
        answers: list[list[_Answer] | None] = []
        for run, task in started:
            answers.append(self._answer(run, task, started))
            if self.n_timeouts > MAX_TIMEOUTS:
                waiting.clear()
                self._give_up(started[len(answers) :])
                raise InferenceStalled(
                    f"more than {MAX_TIMEOUTS} inferences of one call took longer than {self._timeout_s:g} s each; "
                    f"{_EXPECTED}",
                    n_timeouts=self.n_timeouts,
                    n_abandoned=self.n_abandoned,
                )
        return answers

    def _answer(self, run: TimedRun, task: Task[_Answer], started: _Started[_Answer]) -> _Answer | None:
        """Wait for one answer, and look after all runs meanwhile; None where its run was late."""
        wait_s = self._timeout_s
        while not (run.is_abandoned or task.wait(wait_s)):
            wait_s = self._look_after(started)
        try:
            if not run.is_abandoned:
                return task.answer()
        except TimedOut:
            pass
        self.n_timeouts += 1
        return None

    def _look_after(self, started: _Started[_Answer]) -> float:
        """End late runs, leave those behind that do not end; return how many seconds no other can be late."""
        wait_s = self._timeout_s
        for run, task in started:
            left_s = run.left_s(self._timeout_s)
            if left_s is None or run.is_abandoned:
                continue
            if left_s > 0:
                wait_s = min(wait_s, left_s)
            elif run.is_ended:
                self._abandon(run, task)
            else:
                run.end()
        return wait_s

    def _abandon(self, run: TimedRun, task: Task[_Answer]) -> None:
        run.is_abandoned = True
        self.n_abandoned += 1
        self.n_abandoned_in_all += 1
        self._threads.leave_behind(task)
        is_lone, is_parallel = run.session is self.lone, run.session is self.parallel
        if is_lone:
            self.lone = self._load(self._n_threads)
        if is_parallel:
            self.parallel = self.lone if is_lone else self._load(1)

    def _give_up(self, started: _Started[_Answer]) -> None:
        """Leave nothing running, so that the next call finds the threads free."""
        for run, _ in started:
            run.end()
        give_up_s = time.monotonic() + self._timeout_s
        for run, task in started:
            if task.slot is None or run.is_abandoned:
                continue
            if not task.wait(max(0.0, give_up_s - time.monotonic())):
                self._abandon(run, task)
