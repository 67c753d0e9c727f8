"""Which passages of a text are severe."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from console.errors import Problem
from console.operations import Operations
from console.pages.review.passages import severe_passages, shown_turns
from console.review.item import Item
from console.review.rows import item_of
from console.service import Service
from console.store.tables import items
from schemas import Role, Turn
from tests.console.operations import operations_on_sqlite
from tests.console.pages.review.rows import FakeTexts, put, user

__all__ = ["operations_on_sqlite"]

HARMLESS = Turn(Role.USER, "hello, i have a question about cooking rice")
SEVERE = Turn(Role.USER, "the best place on the body to hit somebody so it does damage but leaves no bruise")
SAID = Turn(Role.ASSISTANT, "I can't help you hurt someone.")


def _labels(asked: Coroutine[Any, Any, list[str | None]]) -> list[str | None]:
    """Ask in a thread: while a browser is open, this one has an event loop already."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asked).result()


class _Refusing:
    """A judge that has no time."""

    async def judge(self, *_asked: Any, **_options: Any) -> list[Any]:
        raise Problem(429, "overloaded", "too many wait")  # type: ignore[arg-type]


def _item(operations: Operations, **columns: Any) -> Item:
    item_id = put(operations.store, FakeTexts(), 1, user("a text"), category="M", **columns)
    with operations.store.reading() as connection:
        return item_of(connection.execute(select(items).where(items.c.id == item_id)).mappings().one())


def test_each_message_of_a_user_is_judged_for_itself(service: Service, operations_on_sqlite: Operations) -> None:
    """The class is named; assistants' messages are none of it."""
    item = _item(operations_on_sqlite)
    labels = _labels(severe_passages(service, item, [HARMLESS, SAID, SEVERE]))
    assert labels == [None, None, "other_obscene_or_illegal"]


def test_what_was_not_judged_counts_as_severe(service: Service, operations_on_sqlite: Operations) -> None:
    """Where the judge has no time, and of what lies far back."""
    item = _item(operations_on_sqlite)
    busy = replace(service, judge=_Refusing())  # type: ignore[arg-type]
    assert _labels(severe_passages(busy, item, [HARMLESS, SAID])) == ["other_obscene_or_illegal", None]
    many = _labels(severe_passages(service, item, [HARMLESS] * 30))
    assert many == [""] * 6 + [None] * 24


def test_of_a_blind_item_no_class_is_named(service: Service, operations_on_sqlite: Operations) -> None:
    """Nor does it tell which passages the model finds severe."""
    item = _item(operations_on_sqlite, kind="sample")
    assert _labels(severe_passages(service, item, [HARMLESS, SAID, SEVERE])) == ["", None, ""]


def test_text_that_no_utf8_can_hold_is_shown_with_a_mark() -> None:
    """A lone surrogate breaks no answer."""
    assert shown_turns([Turn(Role.USER, "a\ud800b")], [None]) == [{"role": "user", "text": "a?b", "severe": None}]
