"""The judge: micro-batches across requests, deadlines, a bound, and an end in order."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import pytest

from console.errors import Problem
from console.judging.judge import Judge
from console.judging.request import Answer
from console.metrics import Metrics
from console.settings.console import QueueSettings
from model import Classification, RowFailed
from schemas import Role, Turn
from tests.console.gated_classifier import GatedClassifier

MakeJudge = Callable[..., Judge]


def chats(*texts: str) -> list[list[Turn]]:
    """Return conversations of one message each."""
    return [[Turn(Role.USER, text)] for text in texts]


@pytest.fixture
def make_judge(gated: GatedClassifier) -> Iterator[MakeJudge]:
    """Return a function that starts a judge over the gated classifier."""
    judges: list[Judge] = []

    def make(on_end: Callable[[], None] = lambda: None, **queue: Any) -> Judge:
        judges.append(Judge(gated, QueueSettings(**queue), Metrics()))
        judges[-1].start(on_end)
        return judges[-1]

    yield make
    gated.open()
    for judge in judges:
        judge.close()


async def entered(gated: GatedClassifier) -> None:
    """Wait until the classifier is asked."""
    await asyncio.to_thread(gated.entered.acquire)


async def until(condition: Callable[[], bool]) -> None:
    """Let others run until something is so; the test's own timeout ends it."""
    while not condition():  # noqa: ASYNC110  what is waited for is a thread's
        await asyncio.sleep(0)


def problem_of(outcome: object) -> str:
    """Return the code of a problem."""
    assert isinstance(outcome, Problem), outcome
    return outcome.code


def test_what_waits_together_is_classified_together(gated: GatedClassifier, make_judge: MakeJudge) -> None:
    """Requests share a call; each gets its own answers, in order."""
    judge = make_judge()

    async def ask() -> list[list[Answer]]:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=60))
        await entered(gated)
        others = [asyncio.create_task(judge.judge(chats(f"{i}a", f"{i}b"), within_s=60)) for i in range(3)]
        await until(lambda: judge._waiting.n_conversations == 6)
        gated.open()
        return await asyncio.gather(first, *others)

    answers = asyncio.run(ask())
    assert [len(of_one) for of_one in answers] == [1, 2, 2, 2]
    assert gated.batches == [["first"], ["0a", "0b", "1a", "1b", "2a", "2b"]]


def test_a_request_that_is_not_answered_in_time_gets_504_and_frees_its_place(
    gated: GatedClassifier, make_judge: MakeJudge
) -> None:
    """Also what of it was never begun."""
    judge = make_judge()

    async def ask() -> None:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=60))
        await entered(gated)
        with pytest.raises(Problem) as refused:
            await judge.judge(chats("too", "late"), within_s=0.01)
        assert (refused.value.status, refused.value.code) == (504, "deadline_exceeded")
        assert judge._waiting.n_conversations == 0
        gated.open()
        await first

    asyncio.run(ask())
    assert gated.batches == [["first"]]


def test_what_is_asked_in_the_background_waits_for_all_requests(gated: GatedClassifier, make_judge: MakeJudge) -> None:
    """A table of a page stands before nobody, and is taken a few texts at a time."""
    judge = make_judge(max_conversations=256)

    async def ask() -> list[list[Answer]]:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=60))
        await entered(gated)
        rows = [f"row {i}" for i in range(6)]
        table = asyncio.create_task(judge.judge(chats(*rows), within_s=60, is_background=True))
        await until(lambda: judge._background.n_conversations == 6)
        # The table takes none of the places of requests.
        requests = [asyncio.create_task(judge.judge(chats(*[name] * 128), within_s=60)) for name in "ab"]
        await until(lambda: judge._waiting.n_conversations == 256)
        gated.open()
        return await asyncio.gather(first, table, *requests)

    answers = asyncio.run(ask())
    assert [len(of_one) for of_one in answers] == [1, 6, 128, 128]
    assert gated.batches[-2:] == [["row 0", "row 1", "row 2", "row 3"], ["row 4", "row 5"]]
    assert len(gated.batches) == 1 + 256 // 16 + 2


def test_a_background_that_nobody_waits_for_any_more_frees_its_place(
    gated: GatedClassifier, make_judge: MakeJudge
) -> None:
    """A page that was closed, or a table that was stopped."""
    judge = make_judge()

    async def ask() -> None:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=60))
        await entered(gated)
        with pytest.raises(Problem):
            await judge.judge(chats("too", "late"), within_s=0.01, is_background=True)
        assert judge._background.n_conversations == 0
        gated.open()
        await first

    asyncio.run(ask())
    assert gated.batches == [["first"]]


def test_beyond_the_bound_429_comes_at_once(gated: GatedClassifier, make_judge: MakeJudge) -> None:
    """With the time to come back; what waits already is answered."""
    judge = make_judge(max_conversations=256)

    async def ask() -> list[Answer]:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=60))
        await entered(gated)
        waiting = asyncio.create_task(judge.judge(chats(*["x"] * 256), within_s=60))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await judge.judge(chats("one more"), within_s=60)
        assert (refused.value.status, refused.value.code) == (429, "overloaded")
        assert refused.value.retry_after_s is not None
        gated.open()
        await first
        return await waiting

    assert len(asyncio.run(ask())) == 256


def test_what_would_not_be_done_in_time_is_refused_before_it_waits(
    gated: GatedClassifier, make_judge: MakeJudge
) -> None:
    """The pace was learned: ten tokens a second. An idle classifier is asked all the same."""
    judge = make_judge()
    judge._pace.learn(n_tokens=10, took_s=1.0)

    async def ask() -> None:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=60))
        await entered(gated)
        with pytest.raises(Problem) as refused:
            await judge.judge(chats("x" * 4_000), within_s=2)
        assert refused.value.code == "overloaded"
        assert refused.value.retry_after_s is not None
        assert refused.value.retry_after_s > 60
        judge.check(within_s=60)
        judge._pace.learn(n_tokens=1, took_s=1_000.0)
        with pytest.raises(Problem):
            judge.check(within_s=2)
        gated.open()
        await first
        # A pace that was learned in a bad moment must not refuse everybody from then on.
        await until(lambda: not judge._is_busy)
        judge._pace.learn(n_tokens=1, took_s=1_000.0)
        assert await judge.judge(chats("x" * 4_000), within_s=60)

    asyncio.run(ask())


def test_a_stalled_batch_is_tried_once_more_each_alone(gated: GatedClassifier, make_judge: MakeJudge) -> None:
    """The one that stalls the model is refused; its neighbours get their answers."""
    judge = make_judge()
    gated.stalls_on = "slow"
    gated.open()
    answers = asyncio.run(judge.judge(chats("quick", "slow", "fine"), within_s=60))
    assert [type(answer) for answer in answers] == [Classification, RowFailed, Classification]
    assert str(answers[1]).endswith("raise CONSOLE_MODEL__TIMEOUT_S")


def test_a_worn_out_classifier_ends_the_process_after_its_answers(
    gated: GatedClassifier, make_judge: MakeJudge
) -> None:
    """What is in hand is answered, what comes later is told to ask elsewhere."""
    ended: list[str | None] = []
    judge: Judge = make_judge(on_end=lambda: ended.append(judge.ended_by))
    gated.is_worn_out = True
    gated.open()
    assert len(asyncio.run(judge.judge(chats("hello"), within_s=60))) == 1
    judge._thread.join(30)
    assert ended == ["inferences did not end and were left behind; look at the bundle"]
    assert not judge.is_ready
    with pytest.raises(Problem) as refused:
        asyncio.run(judge.judge(chats("hello"), within_s=60))
    assert (refused.value.status, refused.value.retry_after_s) == (503, 1)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_classifier_that_fails_unexpectedly_ends_the_process_and_leaves_nobody_waiting(
    gated: GatedClassifier, make_judge: MakeJudge
) -> None:
    """Who waits is told to ask elsewhere, not left to the deadline."""
    ended: list[str | None] = []
    judge: Judge = make_judge(on_end=lambda: ended.append(judge.ended_by), batch_conversations=1)
    gated.fails_on = "first"

    async def ask() -> Sequence[object]:
        first = asyncio.create_task(judge.judge(chats("first"), within_s=60))
        await entered(gated)
        second = asyncio.create_task(judge.judge(chats("second"), within_s=60))
        await asyncio.sleep(0)
        gated.open()
        return await asyncio.gather(first, second, return_exceptions=True)

    assert list(map(problem_of, asyncio.run(ask()))) == ["stopping", "stopping"]
    assert len(ended) == 1


def test_the_end_refuses_what_waits_and_answers_what_is_in_hand(gated: GatedClassifier, make_judge: MakeJudge) -> None:
    """SIGTERM: nobody is left without an answer."""
    judge = make_judge(batch_conversations=1)

    async def ask() -> Sequence[object]:
        asked: list[Awaitable[list[Answer]]] = [asyncio.create_task(judge.judge(chats("first"), within_s=60))]
        await entered(gated)
        asked.append(asyncio.create_task(judge.judge(chats("second"), within_s=60)))
        await asyncio.sleep(0)
        closing = asyncio.create_task(asyncio.to_thread(judge.close))
        await until(lambda: not judge.is_ready)
        gated.open()
        await closing
        return await asyncio.gather(*asked, return_exceptions=True)

    first, second = asyncio.run(ask())
    assert isinstance(first, list)
    assert problem_of(second) == "stopping"
