"""Pages of the queue: order, keyset pagination, how long it waits, and what 100,000 items cost."""

import re
import sys
import time
from typing import Any

import pytest
from sqlalchemy import event, insert
from sqlalchemy.engine import Engine

from console.review.errors import WishRefused
from console.review.item import Order, Wish
from console.review.queue import Queue
from console.settings.operations import ReviewSettings
from console.store.store import Store, open_store
from console.store.tables import items
from tests.console.review.conftest import OpenQueue
from tests.console.review.rows import HOUR_MS, NOW_MS, item_row, put, sample_row
from tests.console.review.test_answering import answered

_MANY = 100_000


def risky(n: int, risk: float) -> dict[str, object]:
    """Return an item that arrived n hours ago, ordered as with a bonus of four hours."""
    return item_row(n, risk=risk, order_ms=NOW_MS - n * HOUR_MS - round(risk * 4 * HOUR_MS))


def test_risk_goes_first_until_age_outweighs_it(queue: Queue, store: Store) -> None:
    """The riskiest overtakes what came three hours earlier, not what came five hours earlier."""
    old, middle, new = put(store, risky(5, 0.0), risky(3, 0.0), risky(0, 1.0))
    assert [item.id for item in queue.page("ann").items] == [old, new, middle]
    assert [item.id for item in queue.page("ann", order="age").items] == [old, middle, new]


@pytest.mark.parametrize("order", ["risk", "age"])
def test_pages_follow_one_another_without_gap_or_repeat(queue: Queue, store: Store, order: Order) -> None:
    """Items of one moment too, and what was skipped comes last."""
    ids = put(store, *(item_row(3 if n < 5 else 2, verdict_id=f"{n:032x}") for n in range(9)))
    for item_id in (ids[4], ids[0]):
        answered(queue, item_id, Wish("skip"))
    found, after = [], None
    while True:
        page = queue.page("ann", order=order, after=after, limit=2)
        found += [item.id for item in page.items]
        if (after := page.after) is None:
            break
    # Both skips are of one moment: then the number decides.
    assert found == [*ids[1:4], *ids[5:], ids[0], ids[4]]
    assert page.total == 9


def test_a_page_is_of_a_queue_and_a_kind(queue: Queue, store: Store) -> None:
    """Figures follow the queue."""
    put(store, item_row(9, queue="sports"), item_row(1))
    (sample,) = put(store, sample_row(2))
    assert [item.queue for item in queue.page("ann", queue="sports").items] == ["sports"]
    page = queue.page("ann", queue="default", kind="sample")
    assert ([item.id for item in page.items], page.total) == ([sample], 1)
    assert queue.page("ann", queue="default").oldest_ms == NOW_MS - 2 * HOUR_MS
    assert queue.page("ann", queue="nothing").oldest_ms is None


def test_how_long_a_queue_waits(queue: Queue, store: Store) -> None:
    """Oldest, late beyond four hours, and the wait that 19 of 20 do not exceed."""
    put(store, *(item_row(n) for n in range(1, 21)), item_row(30, state="done"), item_row(31, queue="sports"))
    default, sports = queue.standings()
    assert (default.queue, default.n_open, default.oldest_ms) == ("default", 20, NOW_MS - 20 * HOUR_MS)
    assert (default.n_late, default.p95_wait_ms) == (16, 20 * HOUR_MS)
    assert (sports.queue, sports.n_late) == ("sports", 1)


@pytest.mark.parametrize(
    "after", ["", "x", "2.1.1", "0.1", "0.1.1.1", "0.a.1", "9" * 70, f"0.{2**63}.1", f"1.1.{2**63}", f"0.-{2**64}.1"]
)
def test_what_is_no_cursor_is_refused(queue: Queue, after: str) -> None:
    """A cursor is `after` of the page before."""
    with pytest.raises(WishRefused, match="after"):
        queue.page("ann", after=after)


@pytest.mark.parametrize("limit", [0, 201])
def test_a_page_has_bounds(queue: Queue, limit: int) -> None:
    """A client cannot ask for the whole queue at once."""
    with pytest.raises(WishRefused, match="limit"):
        queue.page("ann", limit=limit)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Return a database with 100,000 open items, of which a reviewer has skipped some."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('full') / 'console.sqlite3'}")
    with store.writing() as connection:
        rows = [
            item_row(n % 5_000, verdict_id=f"{n:032x}", queue=f"q{n % 7}", risk=n % 100 / 100, order_ms=n * 1_000)
            for n in range(_MANY)
        ]
        connection.execute(insert(items), rows)
    return store


@pytest.mark.parametrize("queue_name", [None, "q3"])
@pytest.mark.parametrize("order", ["risk", "age"])
def test_100_000_items_are_paged_without_a_scan_and_without_a_sort(
    full: Store, capsys: pytest.CaptureFixture[str], order: Order, queue_name: str | None
) -> None:
    """SQLite's plan of each statement of a page walks an index of items; times are printed, not asserted."""
    queue = Queue(full, ReviewSettings(), None, clock=lambda: NOW_MS)
    for item_id in (100, 200):
        answered(queue, item_id, Wish("skip"), "cid")
    statements: list[tuple[str, Any]] = []

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        begun = time.perf_counter()
        first = queue.page("cid", order=order, queue=queue_name)
        first_ms = (time.perf_counter() - begun) * 1_000
        deep = f"0.{NOW_MS - 100 * HOUR_MS if order == 'age' else 90_000_000}.5"
        begun = time.perf_counter()
        later = queue.page("cid", order=order, queue=queue_name, after=deep)
        later_ms = (time.perf_counter() - begun) * 1_000
        begun = time.perf_counter()
        claim = queue.claim_next("dan", order=order, queue=queue_name)
        claim_ms = (time.perf_counter() - begun) * 1_000
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert claim is not None
    queue.release(claim.item.id, "dan", claim.token)
    assert (len(first.items), len(later.items)) == (50, 50)
    plans = []
    with full.reading() as connection:
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            plans.append("\n".join(row[3] for row in rows))
    assert not [plan for plan in plans if "max(answers" in plan and "items_by_fingerprint" not in plan]
    assert not [
        plan for plan in plans if re.search(r"SCAN items(?! USING (COVERING )?INDEX)|SCAN (answers|claims)", plan)
    ]
    page_plan = next(plan for plan in plans if "items_" in plan)
    assert "TEMP B-TREE FOR ORDER BY" not in page_plan
    with capsys.disabled():
        name = queue_name or "all queues"
        times = f"first page {first_ms:.0f} ms, a later one {later_ms:.0f} ms, claim {claim_ms:.0f} ms"
        sys.stdout.write(f"\n100,000 items, {order}, {name}: {times}; {page_plan.splitlines()[0]}\n")


def test_a_page_asks_the_database_as_often_however_long_the_queue_is(open_queue: OpenQueue, store: Store) -> None:
    """Holders and earlier answers of all its items are asked for at once."""

    def count() -> int:
        n = 0

        def note(*_: object) -> None:
            nonlocal n
            n += 1

        event.listen(Engine, "before_cursor_execute", note)
        try:
            queue.page("ann", limit=200)
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        return n

    queue = open_queue()
    put(store, item_row(1))
    few = count()
    put(store, *(item_row(n) for n in range(2, 102)))
    assert count() == few
