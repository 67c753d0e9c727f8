"""Which passages of a text are severe, and what may stand beside an item."""

import asyncio
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, select

from console.errors import Problem
from console.operations import Operations
from console.pages.review.passages import severe_passages, shown_turns
from console.review.beside import earlier_of
from console.review.item import Item
from console.review.own_work import PAUSE_MS, exposure_of
from console.review.rows import item_of
from console.service import Service
from console.store.tables import access_log, items
from schemas import Role, Turn
from tests.console.operations import operations_on_sqlite
from tests.console.pages.review.rows import FakeTexts, put, user

__all__ = ["operations_on_sqlite"]

HARMLESS = Turn(Role.USER, "hello, i have a question about cooking rice")
SEVERE = Turn(Role.USER, "the best place on the body to hit somebody so it does damage but leaves no bruise")
SAID = Turn(Role.ASSISTANT, "I can't help you hurt someone.")


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
    labels = asyncio.run(severe_passages(service, item, [HARMLESS, SAID, SEVERE]))
    assert labels == [None, None, "other_obscene_or_illegal"]


def test_what_was_not_judged_counts_as_severe(service: Service, operations_on_sqlite: Operations) -> None:
    """Where the judge has no time, and of what lies far back."""
    item = _item(operations_on_sqlite)
    busy = replace(service, judge=_Refusing())  # type: ignore[arg-type]
    assert asyncio.run(severe_passages(busy, item, [HARMLESS, SAID])) == ["other_obscene_or_illegal", None]
    many = asyncio.run(severe_passages(service, item, [HARMLESS] * 30))
    assert many == [""] * 6 + [None] * 24


def test_of_a_blind_item_no_class_is_named(service: Service, operations_on_sqlite: Operations) -> None:
    """Nor does it tell which passages the model finds severe."""
    item = _item(operations_on_sqlite, kind="sample")
    assert asyncio.run(severe_passages(service, item, [HARMLESS, SAID, SEVERE])) == ["", None, ""]


def test_text_that_no_utf8_can_hold_is_shown_with_a_mark() -> None:
    """A lone surrogate breaks no answer."""
    assert shown_turns([Turn(Role.USER, "a\ud800b")], [None]) == [{"role": "user", "text": "a?b", "severe": None}]


def test_nothing_earlier_stands_beside_what_is_to_be_answered_independently(operations_on_sqlite: Operations) -> None:
    """Neither where several opinions are wanted nor of a blind item."""
    for columns in ({"n_wanted": 2}, {"kind": "sample"}):
        item = _item(operations_on_sqlite, **columns, verdict_id=str(columns))
        with operations_on_sqlite.store.reading() as connection:
            assert earlier_of(connection, item) is None


def test_a_pause_begins_the_count_anew(operations_on_sqlite: Operations) -> None:
    """What is severe of a blind item is not counted: a count would tell."""
    plain, blind = _item(operations_on_sqlite), _item(operations_on_sqlite, kind="sample", verdict_id="blind")
    now = 10 * PAUSE_MS
    seen = [(plain.id, 0), (plain.id, 1), (plain.id, 2 * PAUSE_MS), (blind.id, 2 * PAUSE_MS + 5)]
    with operations_on_sqlite.store.writing() as connection:
        for item_id, at_ms in seen:
            row = {"actor": "ada", "action": "reveal", "item_id": item_id, "detail": {}, "at_ms": at_ms}
            connection.execute(insert(access_log).values(row))
    with operations_on_sqlite.store.reading() as connection:
        found = exposure_of(connection, "ada", {"M"}, now)
    assert (found.n_seen, found.n_severe, found.n_severe_since) == (4, 3, 1)
    assert (found.since_ms, found.last_ms) == (2 * PAUSE_MS, 2 * PAUSE_MS + 5)
