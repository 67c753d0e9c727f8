"""Decided chats that are like an item's, found by what is kept of texts: on both databases."""

from collections.abc import Sequence

import pytest
from sqlalchemy import func, select

from console.review.item import Item, Wish
from console.review.queue import Queue
from console.review.signature import likenesses, signature_of
from console.review.similar import ALIKE_FROM, NEAR_FROM, Similar
from console.settings.operations import ReviewSettings
from console.store.erasing import erase_chats, name_anew
from console.store.pruning import prune
from console.store.store import Store
from console.store.tables import signatures
from schemas import Role, Turn
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import NOW_MS, Clock, item_row, put

SPAM = "dear friend, i have found a pill that makes every exam easy, order it today at my shop, number {}"
OTHER = "what is the best way to clean a cast iron pan after frying fish in it"
KEY = b"k" * 32


def user(text: str) -> list[Turn]:
    """Return a chat of one message."""
    return [Turn(Role.USER, text)]


def _read(queue: Queue, item_id: int, text: str, reviewer: str = "ann") -> Item:
    """Have an item's text read, as a reveal does."""
    item = queue.item(item_id, reviewer)
    queue.remember_text(item, user(text), item.fingerprint or "")
    return item


def _answer(queue: Queue, item_id: int, reviewer: str, outcome: str) -> int:
    claim = queue.claim(item_id, reviewer)
    return queue.answer(item_id, reviewer, claim.token, Wish(outcome, reason="other")).answer_id


def _n_kept(store: Store) -> int:
    with store.reading() as connection:
        return int(connection.execute(select(func.count(func.distinct(signatures.c.item_id)))).scalar_one())


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        (SPAM.format(2), NEAR_FROM, 1),
        (f"  {SPAM.format(1).upper()}\n", 1, 1),
        (SPAM.format(1) + " and tell all of your friends about it", ALIKE_FROM, NEAR_FROM),
        (OTHER, 0, 0.1),
    ],
)
def test_the_nearer_two_texts_are_the_more_of_their_signatures_is_the_same(
    text: str, least: float, most: float
) -> None:
    """Case and white space aside; what a system turn says does not count."""
    one, other = signature_of(user(SPAM.format(1)), KEY), signature_of(user(text), KEY)
    assert one is not None
    assert other is not None
    assert least <= likenesses(one, [other])[0] <= most
    assert signature_of([Turn(Role.SYSTEM, OTHER), *user(SPAM.format(1))], KEY) == one


def test_a_signature_under_another_key_has_nothing_in_common(store: Store) -> None:
    """So that whoever has the database alone cannot try texts on it; of nothing there is none."""
    one, other = signature_of(user(OTHER), KEY), signature_of(user(OTHER), b"x" * 32)
    assert one is not None
    assert other is not None
    assert likenesses(one, [other])[0] == 0
    assert signature_of([Turn(Role.SYSTEM, OTHER)], KEY) is None
    keyless = Queue(store, ReviewSettings())
    (item_id,) = put(store, item_row(1))
    _read(keyless, item_id, OTHER)
    assert _n_kept(store) == 0


def test_decided_chats_that_are_alike_stand_beside_an_item_the_nearest_first(
    queue: Queue, store: Store, clock: Clock
) -> None:
    """With who decided what, when, and how near; neither other texts nor what is not decided."""
    near, alike, other, waiting, undone, item = put(store, *(item_row(n) for n in range(9, 3, -1)))
    texts = {
        near: SPAM.format(1),
        alike: f"{SPAM.format(1)} and tell all of your friends about it",
        other: OTHER,
        waiting: SPAM.format(3),
        undone: SPAM.format(4),
    }
    for item_id, text in texts.items():
        _read(queue, item_id, text)
    _answer(queue, alike, "bob", "allow")
    clock.pass_s(60)
    _answer(queue, near, "ann", "block")
    _answer(queue, other, "ann", "block")
    queue.undo(_answer(queue, undone, "ann", "block"), "ann")
    assert queue.similar(queue.item(item, "cid")) is None  # its text was not read yet
    found = queue.similar(_read(queue, item, SPAM.format(2), "cid"))
    assert found is not None
    assert [(one.item_id, one.outcome, one.reviewer, one.at_ms, one.is_near) for one in found] == [
        (near, "block", "ann", NOW_MS + 60_000, True),
        (alike, "allow", "bob", NOW_MS, False),
    ]
    assert ALIKE_FROM <= found[1].alike < found[0].alike <= 1


@pytest.mark.parametrize("columns", [{"n_wanted": 2}, {"kind": "sample"}, {"kind": "gold"}])
def test_blind_items_neither_see_similar_chats_nor_are_any(
    queue: Queue, store: Store, columns: dict[str, object]
) -> None:
    """Nor do those of which several opinions are wanted."""
    hidden, plain, last = put(store, item_row(3, **columns), item_row(2), item_row(1))
    _answer(queue, hidden, "ann", "block")
    if "n_wanted" in columns:
        _answer(queue, hidden, "bob", "block")
    _answer(queue, plain, "ann", "block")
    for item_id in (hidden, plain):
        _read(queue, item_id, SPAM.format(item_id))
    found = queue.similar(_read(queue, last, SPAM.format(9)))
    assert [one.item_id for one in found or []] == [plain]
    assert queue.similar(queue.item(hidden, "ann")) is None


def test_a_similar_chat_of_another_queue_is_not_there(queue: Queue, store: Store) -> None:
    """As its item is not."""
    one, two = put(store, item_row(2, queue="sports"), item_row(1))
    _read(queue, one, SPAM.format(1))
    _answer(queue, one, "ann", "block")
    item = _read(queue, two, SPAM.format(2))
    assert _ids(queue.similar(item, queues=frozenset({"default", "sports"}))) == [one]
    assert _ids(queue.similar(item, queues=frozenset({"default"}))) == []


def test_of_a_record_that_is_not_what_was_judged_nothing_is_kept(queue: Queue, store: Store) -> None:
    """Its text is another one."""
    (item_id,) = put(store, item_row(1))
    queue.remember_text(queue.item(item_id, "ann"), user(OTHER), "another fingerprint")
    assert _n_kept(store) == 0


def test_a_signature_goes_with_its_item_its_chat_and_its_key(open_queue: OpenQueue, store: Store) -> None:
    """Retention, erasure, and an exchange of keys, after which it could be compared with nothing."""
    queue = open_queue()
    old, erased, renamed, kept = put(
        store,
        item_row(1, state="done", closed_ms=1),
        item_row(2),
        item_row(3, chat_id="renamed"),
        item_row(4),
    )
    read = {item_id: _read(queue, item_id, OTHER) for item_id in (old, erased, renamed, kept)}
    assert _n_kept(store) == 4
    prune(store, keep_days=90, now_ms=NOW_MS)
    assert _n_kept(store) == 3
    with store.writing() as connection:
        erase_chats(connection, {f"{2:064x}": NOW_MS}, lambda _: [], now_ms=NOW_MS)
    assert _n_kept(store) == 2
    # Whoever was reading it while it was erased keeps nothing.
    queue.remember_text(read[erased], user(OTHER), read[erased].fingerprint or "")
    assert _n_kept(store) == 2
    with store.writing() as connection:
        name_anew(connection, lambda chat: ["new"] if chat == "renamed" else [])
    assert _n_kept(store) == 1


def _ids(found: Sequence[Similar] | None) -> list[int]:
    return [one.item_id for one in found or []]
