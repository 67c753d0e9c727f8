"""Deadlines of a judge whose clock the test moves: a machine that slows down, an event loop that is late."""

import asyncio
from collections.abc import Iterator

import pytest

from console.errors import Problem
from console.judging.judge import Judge
from console.metrics import Metrics
from console.settings.console import QueueSettings
from tests.console.gated_classifier import GatedClassifier
from tests.console.judging.test_judge import chats, entered, problem_of, until


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    """Return a clock."""
    return Clock()


@pytest.fixture
def judge(gated: GatedClassifier, clock: Clock) -> Iterator[Judge]:
    """Return a judge that runs by the clock; its event loop's own time-outs do not."""
    running = Judge(gated, QueueSettings(), Metrics(), clock=clock)
    running.start()
    yield running
    gated.open()
    running.close()


def test_what_is_due_when_its_turn_comes_is_told_so_and_not_classified(
    judge: Judge, gated: GatedClassifier, clock: Clock
) -> None:
    """Its event loop has not yet come to say so; the classifier goes on with who can still be answered."""

    async def ask() -> list[object]:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=600))
        await entered(gated)
        late = asyncio.create_task(judge.judge(chats("late", "too"), within_s=60))
        in_time = asyncio.create_task(judge.judge(chats("in time"), within_s=600))
        await until(lambda: judge._waiting.n_conversations == 3)
        clock.now_s += 61
        gated.open()
        return list(await asyncio.gather(first, late, in_time, return_exceptions=True))

    first, late, in_time = asyncio.run(ask())
    assert isinstance(first, list)
    assert isinstance(in_time, list)
    assert isinstance(late, Problem)
    assert (late.status, late.code) == (504, "deadline_exceeded")
    assert gated.batches == [["first"], ["in time"]]
    assert judge._waiting.n_tokens == 0


def test_who_waits_alone_past_the_deadline_is_not_classified_either(
    judge: Judge, gated: GatedClassifier, clock: Clock
) -> None:
    """And the classifier waits for the next one."""

    async def ask() -> list[object]:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=600))
        await entered(gated)
        late = asyncio.create_task(judge.judge(chats("late"), within_s=60))
        await until(lambda: judge._waiting.n_conversations == 1)
        clock.now_s += 61
        gated.open()
        outcomes = await asyncio.gather(first, late, return_exceptions=True)
        return [*outcomes, await judge.judge(chats("next"), within_s=60)]

    _, late, following = asyncio.run(ask())
    assert problem_of(late) == "deadline_exceeded"
    assert isinstance(following, list)
    assert gated.batches == [["first"], ["next"]]


def test_a_problem_at_the_deadline_comes_before_it(judge: Judge, gated: GatedClassifier) -> None:
    """So that it is written and sent in time: a tenth of the deadline is left."""

    async def ask() -> tuple[Problem, float]:
        loop = asyncio.get_running_loop()
        first = asyncio.create_task(judge.judge(chats("first"), within_s=600))
        await entered(gated)
        # The loop's own clock is asked when the time-out was set for, not when it came.
        set_for: list[float] = []
        call_at = loop.call_at

        def noted(when: float, *arguments: object, **named: object) -> asyncio.TimerHandle:
            set_for.append(when - loop.time())
            return call_at(when, *arguments, **named)  # type: ignore[arg-type]

        loop.call_at = noted  # type: ignore[method-assign]
        with pytest.raises(Problem) as refused:
            await judge.judge(chats("late"), within_s=0.4)
        gated.open()
        await first
        return refused.value, set_for[0]

    problem, set_for_s = asyncio.run(ask())
    assert problem.code == "deadline_exceeded"
    assert set_for_s <= 0.9 * 0.4


def test_nobody_is_admitted_on_a_pace_that_is_gone(judge: Judge, gated: GatedClassifier, clock: Clock) -> None:
    """A micro-batch that takes a hundred times as long as those before is seen while it runs."""
    judge._pace.learn(n_tokens=33, took_s=0.1)

    async def ask() -> None:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=600))
        await entered(gated)
        judge.check(within_s=2)
        clock.now_s += 10
        with pytest.raises(Problem) as refused:
            judge.check(within_s=2)
        assert (refused.value.status, refused.value.code) == (429, "overloaded")
        assert refused.value.retry_after_s is not None
        with pytest.raises(Problem):
            await judge.judge(chats("second"), within_s=2)
        gated.open()
        await first
        # Idle again, it is asked.
        await until(lambda: not judge._is_busy)
        await judge.judge(chats("third"), within_s=2)

    asyncio.run(ask())
    assert gated.batches == [["first"], ["third"]]
