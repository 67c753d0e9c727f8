"""A login that the users file gives some queues: it sees, reads and answers nothing of the others, by any route."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from console.app import AddPages
from console.operations import Operations
from console.pages import PAGES
from console.port.users import Users
from console.review.item import BulkFilter, Wish
from console.review.queue import Queue
from console.service import Service
from console.store.store import Store, now_ms
from console.store.tables import access_log, answers, claims, outbox
from tests.console.operations import HASH_KEY, operations_at
from tests.console.pages.following import WrittenHistories, WrittenTexts
from tests.console.port.test_users import PASSWORD, entry, write
from tests.console.review.rows import item_row, put
from tests.console.server import Answer, RunningConsole

OURS, THEIRS = "brand-17", "brand-3"
TEXT = "f" * 32
"""Fingerprint of one text that was sent in chats of both queues."""


@dataclass
class Restricted:
    """A console, and a login that is for one of two queues."""

    console: RunningConsole
    queue: Queue
    store: Store
    login: dict[str, str]
    ours: int
    theirs: int

    def get(self, path: str) -> Answer:
        """Ask."""
        return self.console.ask("GET", path, headers=self.login)

    def post(self, path: str, document: Any) -> Answer:
        """Post."""
        return self.console.post(path, document, **self.login)

    def n_of(self, table: Any, *conditions: Any) -> int:
        """Return how many rows a table has."""
        with self.store.reading() as connection:
            return int(connection.execute(select(func.count()).select_from(table).where(*conditions)).scalar_one())


@pytest.fixture
def restricted(service: Service, tmp_path: Path) -> Iterator[Restricted]:
    """Return a console whose reviewer anna has the queue `brand-17`; an item waits in it and in `brand-3`."""
    opened: Operations = operations_at(f"sqlite:///{tmp_path / 'review.sqlite3'}")
    queue = Queue(opened.store, opened.settings.review, HASH_KEY.encode())
    worker = opened.worker
    operations = replace(opened, queue=queue, texts=WrittenTexts(worker), histories=WrittenHistories(worker))
    ours, theirs = put(
        opened.store,
        item_row(1, queue=OURS, fingerprint=TEXT),
        item_row(2, queue=THEIRS, fingerprint=TEXT),
    )
    write(tmp_path / "users.toml", entry("anna", extra=f'queues = ["{OURS}"]\n'))
    pages: tuple[AddPages, ...] = PAGES
    console = RunningConsole(replace(service, operations=operations), None, pages, users=Users(tmp_path / "users.toml"))
    answer = console.post("/login", {"name": "anna", "password": PASSWORD}, origin=console.url)
    login = {"cookie": answer.headers["set-cookie"].partition(";")[0], "origin": console.url}
    yield Restricted(console, queue, opened.store, login, ours, theirs)
    console.close()
    operations.close()


def test_the_queue_shows_and_counts_the_own_items_alone(restricted: Restricted) -> None:
    """Also where another queue is asked for by name, and in the names of queues at the start."""
    page = restricted.get("/review/queue").json
    assert ([item["id"] for item in page["items"]], page["total"]) == ([restricted.ours], 1)
    assert page["oldest_ms"] == page["items"][0]["arrived_ms"]
    other = restricted.get(f"/review/queue?queue={THEIRS}").json
    assert (other["items"], other["total"], other["oldest_ms"], other["n_late"]) == ([], 0, None, 0)
    assert restricted.get("/review/start").json["queues"] == [OURS]


def test_an_item_of_another_queue_is_nobodys_to_claim_read_or_answer(restricted: Restricted) -> None:
    """It is not found, whether it waits, is claimed or is answered: the answer does not tell that it exists."""
    theirs, token, name = restricted.theirs, "0" * 32, "1" * 32
    answer = {"item_id": theirs, "token": token, "decision_id": name, "outcome": "block"}

    def asked() -> list[Answer]:
        return [
            restricted.post("/review/claim", {"item_id": theirs}),
            restricted.post("/review/text", {"item_id": theirs}),
            restricted.post("/review/answer", answer),
        ]

    waiting = asked()
    held = restricted.queue.claim(theirs, "ben")
    claimed = asked()
    restricted.queue.answer(theirs, "ben", held.token, Wish("allow", reason="other"))
    for answered in (*waiting, *claimed, *asked()):
        assert (answered.status, answered.error["code"]) == (404, "not_in_queue")
    lost = restricted.post("/review/renew", {"claims": [{"item_id": theirs, "token": token}]}).json["lost"]
    assert lost == [{"item_id": theirs, "token": token}]
    assert restricted.n_of(access_log, access_log.c.actor == "anna") == 0
    assert restricted.n_of(answers, answers.c.reviewer == "anna") == 0


def test_the_next_item_is_one_of_the_own_queues(restricted: Restricted) -> None:
    """And then there is none."""
    assert restricted.post("/review/claim", {}).json["claim"]["item"]["id"] == restricted.ours
    assert restricted.post("/review/claim", {}).json["claim"] is None
    assert restricted.post("/review/claim", {"queue": THEIRS}).json["claim"] is None
    assert restricted.n_of(claims) == 1


def test_many_at_once_are_of_the_own_queues(restricted: Restricted) -> None:
    """The same text waits in another queue, and stays there."""
    wanted = {"filter": {"fingerprint": TEXT}}
    assert restricted.post("/review/bulk/preview", wanted).json["n_matching"] == 1
    bulk = wanted | {"outcome": "allow", "reason": "other", "cap": 10, "expected_count": 1, "batch": "2" * 32}
    assert restricted.post("/review/bulk", bulk).json["n_answered"] == 1
    assert restricted.queue.item(restricted.theirs, "ben").state == "open"
    assert restricted.queue.preview(BulkFilter(fingerprint=TEXT), "ben").n_matching == 1


def test_what_was_said_in_another_queue_stands_nowhere(restricted: Restricted) -> None:
    """Neither beside an item of the same text, nor in figures."""
    held = restricted.queue.claim(restricted.theirs, "ben")
    restricted.queue.answer(restricted.theirs, "ben", held.token, Wish("block", reason="other", category="A"))
    claim = restricted.post("/review/claim", {"item_id": restricted.ours}).json["claim"]
    assert claim["item"]["earlier"] is None
    assert claim["earlier"] == {"same_chat": [], "same_text": []}
    figures = restricted.get("/review/figures").json
    assert (figures["n_items"], figures["model"]["n_named"]) == (0, 0)
    assert restricted.queue.figures(since_ms=0, until_ms=now_ms() + 1).n_items == 1


def test_an_answer_of_a_queue_that_was_taken_away_is_not_undone(restricted: Restricted) -> None:
    """Its item is another's by now."""
    held = restricted.queue.claim(restricted.theirs, "anna")
    taken = restricted.queue.answer(restricted.theirs, "anna", held.token, Wish("block", reason="other"))
    refused = restricted.post("/review/undo", {"answer_id": taken.answer_id})
    assert (refused.status, refused.error["code"]) == (404, "not_in_queue")
    assert restricted.queue.item(restricted.theirs, "ben").state == "done"


def test_the_page_chat_is_no_way_around(restricted: Restricted) -> None:
    """It reads and decides on any chat: whoever has some queues sees its verdicts alone, as a viewer does."""
    for path in ("/chat/text", "/chat/override", "/chat/clear", "/chat/report", "/chat/undo"):
        refused = restricted.post(path, {"chat_id": "chat-2"})
        assert (refused.status, refused.error["code"]) == (403, "role_needed"), path
    assert restricted.get(f"/chat/sent?decision_id={'0' * 32}&kind=override_set").status == 403
    assert restricted.get("/chat").status == 200
    assert restricted.n_of(outbox) == restricted.n_of(access_log) == 0
