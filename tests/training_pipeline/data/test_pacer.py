"""The pacer, on a clock of the test's own."""

import asyncio

import pytest

from training_pipeline.data.pacer import Pacer


class Clock(asyncio.SelectorEventLoop):
    """An event loop whose time passes only in sleeps."""

    now_s = 0.0

    def time(self) -> float:
        """Return the time of the test."""
        return self.now_s

    def _run_once(self) -> None:
        scheduled = self._scheduled  # type: ignore[attr-defined]
        if scheduled and not self._ready:  # type: ignore[attr-defined]
            self.now_s = max(self.now_s, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


@pytest.fixture
def turns() -> list[float]:
    """Collect the times of the turns."""
    return []


async def _take(pacer: Pacer, turns: list[float], n_turns: int) -> None:
    for _ in range(n_turns):
        await pacer.turn()
        turns.append(asyncio.get_running_loop().time())


def test_turns_of_all_tasks_together_keep_the_rate(turns: list[float]) -> None:
    """Sixty a minute are one a second, however many tasks ask."""

    async def main() -> None:
        pacer = Pacer(60)
        await asyncio.gather(*(_take(pacer, turns, 4) for _ in range(3)))

    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(main())
    assert turns == pytest.approx([float(i) for i in range(12)])


def test_a_pause_holds_every_task_back(turns: list[float]) -> None:
    """A Retry-After speaks to the client, not to one of its requests."""

    async def main() -> None:
        pacer = Pacer(60)
        task = asyncio.gather(*(_take(pacer, turns, 2) for _ in range(2)))
        await asyncio.sleep(0.5)
        pacer.pause(30)
        await task

    with asyncio.Runner(loop_factory=Clock) as runner:
        runner.run(main())
    assert turns == pytest.approx([0.0, 30.5, 31.5, 32.5])
