"""Inference that lasts too long costs its own row an answer, nobody else's, and in the end the process at most."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import Fail

from model import InferenceStalled, RowFailed
from model.inference.threads import InferenceThreads, Task
from model.inference.timed_session import MAX_ABANDONED, MAX_TIMEOUTS, TimedRun, TimedSessions

TIMEOUT_S: Final = 0.3
LATE, LATE_ONCE, STUCK, BROKEN = -1, -2, -3, -4
"""Rows that end by the terminate flag only, that do so the first time only, that end by nothing, and that raise."""


@dataclass(frozen=True)
class Rows:
    """A batch of numbers that stand for rows."""

    numbers: list[int]

    def alone(self) -> "list[Rows]":
        """Return one batch for each row."""
        return [Rows([number]) for number in self.numbers]


class Model:
    """Stands in for every session that is loaded of one model; answers each row with its number.

    A thread in an operator without end is one that waits until the test is over.
    """

    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.n_loaded = 0
        self.late_once = {LATE_ONCE}

    def load(self, n_threads: int) -> Any:
        """Return a session."""
        assert n_threads > 0
        self.n_loaded += 1
        return self

    def logits(self, rows: list[int], options: Any) -> list[int]:
        """Answer, or do not."""
        if STUCK in rows:
            self.is_over.wait()
        if LATE in rows or self.late_once & {*rows}:
            self.late_once -= {*rows}
            while not options.terminate:
                self.is_over.wait(0.005)
            raise Fail("Exiting due to terminate flag being set to true.")
        if BROKEN in rows:
            raise Fail("node 7")
        return rows


def answers(run: TimedRun, batch: Rows) -> list[int]:
    """Return the model's answers, as the classifier asks for them."""
    return list(run.logits(batch.numbers))  # type: ignore[arg-type]


@pytest.fixture
def model() -> Iterator[Model]:
    """Return a model whose stuck threads end with the test."""
    made = Model()
    yield made
    made.is_over.set()


def timed(model: Model, n_threads: int = 1) -> TimedSessions:
    """Return the sessions under test."""
    return TimedSessions(model.load, n_threads=n_threads, timeout_s=TIMEOUT_S)


def shown(found: list[list[int | RowFailed]]) -> list[list[int | None]]:
    """Return the answers, None for a row that failed."""
    return [[None if isinstance(answer, RowFailed) else answer for answer in batch] for batch in found]


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("bad", [LATE, STUCK])
def test_a_slow_row_costs_no_other_row_its_answer(model: Model, bad: int, n_threads: int) -> None:
    """F30: it is ended, each row of its batch runs once more, alone, and only the slow one fails."""
    sessions = timed(model, n_threads)
    found = sessions.run(answers, [Rows([1, 2]), Rows([3, bad, 4]), Rows([5])])
    assert shown(found) == [[1, 2], [3, None, 4], [5]]
    assert sessions.n_timeouts == 2
    assert sessions.n_abandoned == (2 if bad == STUCK else 0)
    (failure,) = [answer for batch in found for answer in batch if isinstance(answer, RowFailed)]
    assert f"{TIMEOUT_S:g} s" in failure.error


def test_a_row_that_was_slow_by_chance_gets_its_answer(model: Model) -> None:
    """A pod that slept, or had no CPU for a while, must not cost a chat its verdict."""
    sessions = timed(model)
    assert shown(sessions.run(answers, [Rows([LATE_ONCE])])) == [[LATE_ONCE]]
    assert (sessions.n_timeouts, sessions.n_abandoned) == (1, 0)


def test_what_the_model_raises_is_no_time_out(model: Model) -> None:
    """A row that breaks the model is the classifier's to isolate, by halving."""
    sessions = timed(model)
    with pytest.raises(Fail, match="node 7"):
        sessions.run(answers, [Rows([BROKEN])])
    assert shown(sessions.run(answers, [Rows([1])])) == [[1]]


@pytest.mark.parametrize("n_threads", [1, 2])
def test_a_session_that_does_not_come_back_is_replaced(model: Model, n_threads: int) -> None:
    """What shares a thread or a session with a run that never ends would wait for ever."""
    sessions = timed(model, n_threads)
    n_loaded = model.n_loaded
    sessions.run(answers, [Rows([1]), Rows([STUCK]), Rows([2])])
    assert model.n_loaded == n_loaded + 2
    assert sessions.n_abandoned_in_all == MAX_ABANDONED
    assert shown(sessions.run(answers, [Rows([3]), Rows([4]), Rows([5])])) == [[3], [4], [5]]
    assert (sessions.n_timeouts, sessions.n_abandoned, sessions.n_abandoned_in_all) == (0, 0, MAX_ABANDONED)


@pytest.mark.parametrize("n_threads", [1, 3])
@pytest.mark.parametrize("bad", [LATE, STUCK])
def test_a_call_gives_up_after_a_few_late_runs(model: Model, bad: int, n_threads: int) -> None:
    """The worker must come round before its group and its kubelet give it up; the next call finds free threads."""
    sessions = timed(model, n_threads)
    with pytest.raises(InferenceStalled) as caught:
        sessions.run(answers, [Rows([bad]) for _ in range(20)])
    assert caught.value.n_timeouts == MAX_TIMEOUTS + 1
    assert shown(sessions.run(answers, [Rows([6]), Rows([7])])) == [[6], [7]]


def test_a_process_that_slept_does_not_leave_a_healthy_session_behind(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After SIGCONT both times have passed at once; a run has the second one only from its end on."""
    run = TimedRun(model.load(1))
    clock = iter([0.0, 100.0, 100.0, 100.1])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    left: list[float | None] = []

    def look(_rows: Any, options: Any) -> list[int]:
        left.append(run.left_s(TIMEOUT_S))
        run.end()
        left.append(run.left_s(TIMEOUT_S))
        assert options.terminate
        return [1]

    monkeypatch.setattr(model, "logits", look)
    assert run.logits([]) == [1]
    assert left == [TIMEOUT_S - 100.0, pytest.approx(TIMEOUT_S - 0.1)]


def test_the_threads_end_with_their_classifier() -> None:
    """A worker that takes over a new bundle every day must not gather threads."""
    threads = InferenceThreads(3)
    seen: list[threading.Thread] = []
    tasks = [Task(lambda: seen.append(threading.current_thread())) for _ in range(9)]
    threads.start(tasks)
    assert all(task.wait(30) for task in tasks)
    del threads
    for thread in seen:
        thread.join(30)
    assert not any(thread.is_alive() for thread in seen)
