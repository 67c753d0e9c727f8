"""One Chromium for all tests of the pages; each test has a context and pages of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from console.settings.console import PagesSettings
from tests.console.conftest import StartConsole
from tests.console.pages.browser import launched
from tests.console.pages.following import follow, shipped
from tests.console.server import RunningConsole

__all__ = ["follow", "shipped"]

OpenPage = Callable[..., Page]


# Not for the whole session: while playwright runs, this thread has an event loop, and other tests make their own.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Return a real Chromium."""
    with launched() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """Return a function that opens an address; a page that broke its content policy or threw fails the test."""
    contexts, faults = [], []

    def open_one(url: str, **looks: Any) -> Page:
        context = browser.new_context(**looks)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "ecurity Policy" in line.text else None)
        page.goto(url)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def try_console(start_console: StartConsole) -> RunningConsole:
    """Return a console with pages and default settings."""
    return start_console(pages=PagesSettings())
