"""A console with a queue of the test's own, and people with roles who open its page."""

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from console.operations import Operations
from console.pages import PAGES
from console.port.keys import Keys, hash_of
from console.port.sessions import COOKIE
from console.review.queue import Queue
from console.service import Service
from console.settings.operations import ReviewSettings
from console.store.store import Store
from tests.console.operations import HASH_KEY, operations_at
from tests.console.pages.review.rows import FakeTexts
from tests.console.server import RunningConsole

ROLES = {"ada": "reviewer", "ben": "reviewer", "eve": "viewer", "ada.min": "admin"}


@dataclass
class Desk:
    """A console, its database and its texts."""

    console: RunningConsole
    operations: Operations
    texts: FakeTexts

    @property
    def store(self) -> Store:
        """The database."""
        return self.operations.store

    def cookie(self, person: str) -> str:
        """Log in and return the cookie."""
        answer = self.console.post("/login", {"key": f"vs-{person}"}, origin=self.console.url)
        assert answer.status == 204
        return answer.headers["set-cookie"].partition(";")[0]

    def ask(self, person: str, path: str, document: Any = None) -> Any:
        """Ask a route of the page as somebody; return its answer."""
        headers = {"cookie": self.cookie(person), "origin": self.console.url}
        if document is None:
            return self.console.ask("GET", path, headers=headers)
        return self.console.post(path, document, **headers)


StartDesk = Callable[..., Desk]
OpenAs = Callable[..., Page]


@pytest.fixture
def start_desk(service: Service, tmp_path: Path) -> Iterator[StartDesk]:
    """Return a function that starts a console with an empty queue; its arguments are settings of the queue."""
    with ExitStack() as ends:

        def start(**review: Any) -> Desk:
            settings = ReviewSettings(**{"reason_needed": "", **review})
            operations = operations_at(f"sqlite:///{tmp_path / 'review.sqlite3'}", review=settings)
            texts = FakeTexts()
            queue = Queue(operations.store, settings, HASH_KEY.encode())
            operations = replace(operations, texts=texts, queue=queue)  # type: ignore[arg-type]
            ends.callback(operations.close)
            update = {name: getattr(operations.settings, name) for name in ("pipeline", "store", "review")}
            mine = replace(service, settings=service.settings.model_copy(update=update), operations=operations)
            keys = tmp_path / "keys.toml"
            keys.write_text(
                "".join(
                    f'[[keys]]\nname = "{name}"\nsha256 = "{hash_of(f"vs-{name}")}"\nrole = "{role}"\n'
                    for name, role in ROLES.items()
                )
            )
            console = RunningConsole(mine, Keys(keys), PAGES)
            ends.callback(console.close)
            return Desk(console, operations, texts)

        yield start


@pytest.fixture
def desk(start_desk: StartDesk) -> Desk:
    """Return a console with an empty queue; answers need no reason."""
    return start_desk()


@pytest.fixture
def open_as(browser: Browser) -> Iterator[OpenAs]:
    """Return a function that opens the page as somebody; a page that broke its policy or threw fails the test."""
    contexts, faults = [], []

    def open_one(desk: Desk, person: str = "ada", path: str = "/review", **looks: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **looks})
        contexts.append(context)
        name, _, value = desk.cookie(person).partition("=")
        assert name == COOKIE
        context.add_cookies([{"name": name, "value": value, "url": desk.console.url}])
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda line: faults.append(line.text) if "ecurity Policy" in line.text else None)
        page.goto(f"{desk.console.url}{path}")
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert faults == []


def wait_for_text(page: Page) -> None:
    """Wait until an item's text is there."""
    expect(page.locator("#text .turn").first).to_be_attached()


def wait_until_taken(page: Page) -> None:
    """Wait until the server has taken the newest answer: the page itself is further already."""
    expect(page.locator("#undo-what")).to_have_text(re.compile(r"s left$|sent$|taken$"))
