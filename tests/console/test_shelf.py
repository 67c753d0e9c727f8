"""The bundles of the Try page, as objects: what ends, and what comes back."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from console.errors import Problem
from console.pages.try_it.shelf import Choice, Loaded, Shelf
from console.service import Service
from console.settings.console import PagesSettings
from schemas import shipped_taxonomy
from tests.tiny_bundle import tiny_bundle


@pytest.fixture
def service_with_two(service: Service, tmp_path: Path) -> Service:
    """Return a service whose pages offer two bundles and hold one."""
    folders = [tiny_bundle(tmp_path / name, shipped_taxonomy("toxicity")) for name in ("a", "b")]
    pages = PagesSettings(bundles=",".join(map(str, folders)), max_bundles=1)
    return replace(service, settings=service.settings.model_copy(update={"pages": pages}), at_end=[])


def test_a_bundle_that_makes_room_ends_and_is_loaded_anew(service_with_two: Service) -> None:
    """Its thread, too; one that stays is the same object."""

    async def use() -> None:
        shelf = Shelf(service_with_two)
        first = await shelf.loaded("a")
        assert await shelf.loaded("a") is first
        second = await shelf.loaded("b")
        assert not first.service.judge.is_ready
        assert second.service.judge.is_ready
        again = await shelf.loaded("a")
        assert again is not first
        for end in service_with_two.at_end:
            end()
        assert not again.service.judge.is_ready

    asyncio.run(use())


def test_a_bundle_whose_thread_ended_is_loaded_anew(service_with_two: Service) -> None:
    """Inferences that never end take the judge with them, and not the page."""

    async def use() -> None:
        shelf = Shelf(service_with_two)
        first = await shelf.loaded("a")
        await asyncio.to_thread(first.service.judge.close)
        second = await shelf.loaded("a")
        assert second is not first
        assert second.service.judge.is_ready
        second.service.close()

    asyncio.run(use())


def test_only_one_of_those_who_choose_at_once_loads(service_with_two: Service) -> None:
    """A second copy of a model would be in nobody's count."""

    async def use() -> None:
        shelf = Shelf(service_with_two)
        found = await asyncio.gather(*[shelf.loaded("a") for _ in range(5)])
        assert len(set(map(id, found))) == 1
        found[0].service.close()

    asyncio.run(use())


class _SlowShelf(Shelf):
    """Loads nothing before it is told to."""

    go = threading.Event()

    def _load(self, choice: Choice) -> Loaded:
        assert self.go.wait(60)
        return super()._load(choice)


def test_who_has_a_bundle_does_not_wait_for_anothers_and_few_wait(service_with_two: Service) -> None:
    """Each load takes seconds: one visitor who chooses in turns must not hold up all others."""
    pages = service_with_two.settings.pages.model_copy(update={"max_bundles": 2})
    roomy = replace(service_with_two, settings=service_with_two.settings.model_copy(update={"pages": pages}))

    async def use() -> None:
        shelf = _SlowShelf(roomy)
        shelf.go.set()
        first = await shelf.loaded("a")
        shelf.go.clear()
        waiting = [asyncio.create_task(shelf.loaded("b")) for _ in range(8)]
        await asyncio.sleep(0)
        assert await shelf.loaded("a") is first
        with pytest.raises(Problem, match="8 others wait") as refused:
            await shelf.loaded("b")
        assert (refused.value.status, refused.value.retry_after_s) == (429, 2)
        shelf.go.set()
        assert len(set(map(id, await asyncio.gather(*waiting)))) == 1
        for end in roomy.at_end:
            end()

    asyncio.run(use())


def test_a_name_of_nobody_takes_no_room(service_with_two: Service) -> None:
    """What is loaded stays."""

    async def use() -> None:
        shelf = Shelf(service_with_two)
        first = await shelf.loaded("a")
        with pytest.raises(Problem, match="no such bundle"):
            await shelf.loaded("../a")
        assert await shelf.loaded("a") is first
        first.service.close()

    asyncio.run(use())
