"""A console that shows figures: verdicts of calibration chats, and a database of the test's own."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import pytest

from console.pages import frame
from console.pages.policy.route import add_with
from console.pipeline.reading import Readings
from console.pipeline.yesterday import Found, collected
from console.port.keys import Keys
from console.service import Service
from model import Bundle
from tests.console.operations import operating_service, operations_on_sqlite
from tests.console.pages.figures.verdicts import past_verdicts
from tests.console.server import RunningConsole

__all__ = ["operating_service", "operations_on_sqlite"]

StartFigures = Callable[..., RunningConsole]


@pytest.fixture
def bundle(service: Service) -> Bundle:
    """Return the console's bundle."""
    return service.bundle


@pytest.fixture
def start_figures(operating_service: Service) -> Iterator[StartFigures]:
    """Return a function that serves the page Policy over verdicts that the test gives."""
    running: list[RunningConsole] = []

    def start(
        records: list[Found] | None = None, readings: Readings | None = None, keys: Keys | None = None
    ) -> RunningConsole:
        service = replace(operating_service, at_end=[])
        found = past_verdicts(service.bundle, 400) if records is None else records
        made = readings or Readings(lambda _reading, _ends: collected(service.bundle, found))
        running.append(RunningConsole(service, keys, [frame.add, partial(add_with, readings=made)]))
        return running[-1]

    yield start
    for console in running:
        console.close()
        for end in console.service.at_end:
            end()
