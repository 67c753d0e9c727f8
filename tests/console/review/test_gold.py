"""Gold items: from chats that the project owns, unseen among the others, one reviewer's, never published."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from console.errors import SettingsError
from console.review.errors import NotInQueue
from console.review.gold import SHIPPED, GoldChats
from console.review.item import Item, Wish
from console.review.queue import Queue
from console.review.shown import shown, shown_answered
from console.store.store import Store
from console.store.tables import answers, items
from schemas import CHAT_13
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import item_row, outbox_of, put, sample_row
from tests.console.review.test_answering import answered


def seeded(queue: Queue, store: Store, reviewer: str = "ann") -> Item:
    """Answer one of two items so that a gold item follows, and return it."""
    first, _ = put(store, item_row(2), sample_row(1, evidence=dict.fromkeys(CHAT_13.codes, 0.0)))
    answered(queue, first, Wish("allow"), reviewer)
    (found,) = [item for item in queue.page(reviewer).items if item.kind == "gold"]
    return found


def test_what_ships_is_of_the_projects_own_sample() -> None:
    """Line by line; and every category has some."""
    sample = set(Path("data/sample/chats.jsonl").read_text("utf-8").splitlines())
    shipped = (SHIPPED / "chat-13.jsonl").read_text("utf-8").splitlines()
    assert set(shipped) <= sample
    chats = GoldChats().for_taxonomy("chat-13", CHAT_13.codes)
    assert {chat.category for chat in chats} == set(CHAT_13.codes)
    assert {chat.decision for chat in chats if chat.category in CHAT_13.banned} == {"block"}
    assert all(chat.turns and chat.deciding is not None for chat in chats)


def test_a_gold_item_looks_as_the_sample_beside_it(open_queue: OpenQueue, store: Store) -> None:
    """Same members, same times, nothing that tells them apart but their numbers."""
    queue = open_queue(gold_every=1)
    gold = seeded(queue, store)
    (sample,) = [item for item in queue.page("ann").items if item.kind == "sample"]
    differing = {name for name, value in shown(gold).items() if value != shown(sample)[name]}
    assert differing == {"id"}
    given = [shown_answered(answered(queue, item.id, Wish("allow"))) for item in (gold, sample)]
    assert [one["sends_at_ms"] for one in given] == [None, None]


def test_a_gold_item_is_in_the_queue_of_the_policy_by_which_its_answer_is_known(
    open_queue: OpenQueue, store: Store
) -> None:
    """Whoever judges by a brand's banned categories would be counted as wrong where they are right."""
    queue = open_queue(gold_every=1)
    queue.gold_queue = "default"
    first, _ = put(store, item_row(2), item_row(1, queue="brand", evidence=dict.fromkeys(CHAT_13.codes, 0.0)))
    answered(queue, first, Wish("allow"))
    assert [(item.kind, item.queue) for item in queue.page("ann").items] == [("review", "brand"), ("gold", "default")]


def test_a_gold_answer_is_never_published_and_undo_works_as_ever(open_queue: OpenQueue, store: Store) -> None:
    """Right or wrong."""
    queue = open_queue(gold_every=1)
    gold = seeded(queue, store)
    before = len(outbox_of(store))
    taken = answered(queue, gold.id, Wish("block", reason="other", category="A"))
    assert len(outbox_of(store)) == before
    assert queue.undo(taken.answer_id, "ann").item.state == "open"
    with store.reading() as connection:
        assert connection.execute(select(answers.c.is_blind).where(answers.c.item_id == gold.id)).scalar_one()


def test_a_gold_item_is_one_reviewers(open_queue: OpenQueue, store: Store) -> None:
    """Nobody else sees, counts or claims it."""
    queue = open_queue(gold_every=1)
    gold = seeded(queue, store)
    assert [item.kind for item in queue.page("bob").items] == ["sample"]
    assert (queue.page("ann").total, queue.page("bob").total) == (2, 1)
    with pytest.raises(NotInQueue):
        queue.claim(gold.id, "bob")
    with pytest.raises(NotInQueue):
        queue.item(gold.id, "bob")


def test_about_one_answer_in_so_many_is_followed_by_one(open_queue: OpenQueue, store: Store) -> None:
    """By chance, so that nobody can count; one waits at a time."""
    asked: list[int] = []

    def draw(n: int) -> int:
        asked.append(n)
        return 1 if n == 20 else 0

    queue = open_queue(gold_every=20, draw=draw)
    first, second, _ = put(store, item_row(3), item_row(2), item_row(1))
    answered(queue, first, Wish("allow"))
    answered(queue, second, Wish("skip"))
    assert asked == [20]
    assert {item.kind for item in queue.page("ann").items} == {"review"}


def test_the_chats_that_a_reviewer_has_seen_least_come_first(open_queue: OpenQueue, store: Store) -> None:
    """No chat twice before every one was there."""
    queue = open_queue(gold_every=1)
    codes = {"evidence": dict.fromkeys(("A", "B", "M"), 0.0)}
    put(store, *(item_row(n, **codes) for n in range(40)))
    keys = []
    for _ in range(16):
        review = next(item for item in queue.page("ann").items if item.kind == "review")
        answered(queue, review.id, Wish("allow"))
        gold = next(item for item in queue.page("ann").items if item.kind == "gold")
        keys.append(gold.gold_key)
        answered(queue, gold.id, Wish("allow"))
    assert len(set(keys[:15])) == 15
    assert keys[15] in keys[:15]


def test_its_text_comes_from_the_file_and_not_from_the_database(open_queue: OpenQueue, store: Store) -> None:
    """The database holds its key."""
    queue = open_queue(gold_every=1)
    gold = seeded(queue, store)
    found = queue.gold_turns(gold)
    assert found is not None
    turns, deciding = found
    assert deciding is not None
    with store.reading() as connection:
        row = connection.execute(select(items).where(items.c.id == gold.id)).mappings().one()
    assert turns[deciding].text not in repr(dict(row))


def line(**changes: Any) -> str:
    """Return a line of a gold file."""
    document = {
        "chat_id": "g1", "category": "A", "decision": "block", "messages": [{"role": "user", "content": "hello"}],
    }  # fmt: skip
    return json.dumps(document | changes)


def test_own_chats_take_the_place_of_those_that_ship(open_queue: OpenQueue, store: Store, tmp_path: Path) -> None:
    """Only those whose category the queue's taxonomy has."""
    path = tmp_path / "gold.jsonl"
    path.write_text(line() + "\n" + line(chat_id="g2", category="mine") + "\n")
    gold = seeded(open_queue(gold_every=1, gold_file=path), store)
    assert (gold.gold_key, gold.gold_decision) == ("g1", "block")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "line 1: no labelled chat"),
        (line(messages=[]), "line 1: no labelled chat"),
        (line(decision="ban"), "line 1: no labelled chat"),
        (line(decision=None), "line 1: found no decision"),
        (line() + "\n" + line(), "comes twice"),
    ],
)
def test_a_gold_file_that_is_none_stops_the_start(open_queue: OpenQueue, tmp_path: Path, text: str, told: str) -> None:
    """With the line, and without a word of its text."""
    path = tmp_path / "gold.jsonl"
    path.write_text(text)
    with pytest.raises(SettingsError, match=told) as refused:
        open_queue(gold_file=path)
    assert "hello" not in str(refused.value)
    with pytest.raises(SettingsError, match="cannot be read"):
        open_queue(gold_file=tmp_path / "none")
