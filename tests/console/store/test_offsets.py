"""Rows and the offset behind them stand or fall together; on SQLite and on PostgreSQL."""

import threading
from collections.abc import Mapping

import pytest

from console.store.counting import Counted, add_counts, set_once, totals
from console.store.offsets import OffsetMoved, Place, move, offsets_of
from console.store.store import Store
from tests.console.databases import OpenStore

VERDICTS = ("verdicts", 0)
SEEN = Counted(0, "decision", "p", "allow")


def step(store: Store, moves: Mapping[Place, tuple[int | None, int]]) -> None:
    """Count one and move offsets, in one transaction."""
    with store.writing() as connection:
        add_counts(connection, {SEEN: 1})
        move(connection, moves)


def standing(store: Store) -> tuple[dict[Place, int], int]:
    """Return the offsets, and how often a step was taken."""
    with store.reading() as connection:
        n = totals(connection, ["decision"], since_ms=0, until_ms=1).get(("decision", "p", "allow"), 0)
        return offsets_of(connection, ["verdicts", "reviews"]), n


def test_offsets_move_with_what_was_read(store: Store) -> None:
    """A partition begins, and goes on."""
    step(store, {VERDICTS: (None, 5), ("reviews", 1): (None, 2)})
    step(store, {VERDICTS: (5, 9)})
    assert standing(store) == ({VERDICTS: 9, ("reviews", 1): 2}, 2)


@pytest.mark.parametrize("before", [None, 4, 6])
def test_where_another_console_was_quicker_nothing_of_the_batch_is_written(store: Store, before: int | None) -> None:
    """Neither its rows nor the offsets of other partitions."""
    step(store, {VERDICTS: (None, 5)})
    with pytest.raises(OffsetMoved):
        step(store, {("reviews", 1): (None, 2), VERDICTS: (before, 9)})
    assert standing(store) == ({VERDICTS: 5}, 1)


def test_of_two_consoles_that_move_at_once_one_does(open_one: OpenStore) -> None:
    """Forty steps, each tried by both: each is taken once."""
    stores = [open_one(), open_one()]
    for store in stores[:1]:
        step(store, {VERDICTS: (None, 0)})
    barrier = threading.Barrier(2)
    taken: list[int] = []

    def run(store: Store) -> None:
        for at in range(40):
            barrier.wait(30)
            try:
                step(store, {VERDICTS: (at, at + 1)})
            except OffsetMoved:
                continue
            taken.append(at)

    threads = [threading.Thread(target=run, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(taken) == list(range(40))
    assert standing(stores[0]) == ({VERDICTS: 40}, 41)


def test_counts_add_up_and_rates_stay(store: Store) -> None:
    """A number that is set once keeps what the first console has written."""
    other = Counted(3_600_000, "decision", "p", "allow")
    with store.writing() as connection:
        add_counts(connection, {SEEN: 2, other: 3})
        add_counts(connection, {SEEN: 5})
        set_once(connection, {SEEN._replace(what="rate"): 7})
        set_once(connection, {SEEN._replace(what="rate"): 8})
    with store.reading() as connection:
        assert totals(connection, ["decision", "rate"], since_ms=0, until_ms=3_600_000) == {
            ("decision", "p", "allow"): 7,
            ("rate", "p", "allow"): 7,
        }
