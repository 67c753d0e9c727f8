"""With 100,000 items in the queue a batch costs what it holds: no statement reads the table from end to end."""

import time
from typing import Any

from sqlalchemy import Connection, event, insert, text

from console.review.arrivals import close_answered, take_in
from console.review.arriving import item_of_review
from console.settings.operations import ReviewSettings
from console.store.erasing import erase_chats
from console.store.store import Store
from console.store.tables import items
from tests.console.intake.rig import hash_of
from tests.console.judged import AT_MS, a_review, an_override

N_ITEMS = 100_000


def test_batches_use_indexes_among_100_000_items(store: Store) -> None:
    """Plans are looked at on SQLite; the times are printed on both."""
    template = item_of_review(a_review(0), ReviewSettings(), now_ms=AT_MS, risk=0.5, chat_hash="h")
    with store.writing() as connection:
        for start in range(0, N_ITEMS, 5_000):
            connection.execute(
                insert(items),
                [
                    template | {"verdict_id": f"v{number}", "chat_id": f"c{number}", "chat_hash": f"h{number}"}
                    for number in range(start, start + 5_000)
                ],
            )
        if not store.is_sqlite:
            connection.execute(text("ANALYZE items"))
    statements: list[tuple[str, Any]] = []
    rows = [
        item_of_review(a_review(number), ReviewSettings(), now_ms=AT_MS, risk=0.5, chat_hash=hash_of(f"chat-{number}"))
        for number in range(500)
    ]
    started = time.perf_counter()
    with store.writing() as connection:
        event.listen(connection, "before_cursor_execute", lambda *given: statements.append((given[2], given[3])))
        taken = take_in(connection, rows, lambda chat_id: [hash_of(chat_id)], now_ms=AT_MS)
        n_closed = close_answered(connection, [an_override(number) for number in range(20)], now_ms=AT_MS)
        erased = {hash_of(f"chat-{number}"): AT_MS for number in range(20, 40)}
        n_erased = erase_chats(connection, erased, lambda chat_id: [hash_of(chat_id)], now_ms=AT_MS)
    took_ms = (time.perf_counter() - started) * 1_000
    told = f"500 reviews, 20 overrides, 20 erasures among {N_ITEMS} items"
    print(f"{told}: {took_ms:.0f} ms, {len(statements)} statements")  # noqa: T201
    assert (taken.n_new, n_closed, n_erased) == (500, 20, 20)
    if store.is_sqlite:
        with store.reading() as connection:
            assert [plan for one in statements for plan in scans(connection, *one)] == []


def scans(connection: Connection, statement: str, parameters: Any) -> list[str]:
    """Return the steps of a statement's plan that read a table from end to end, or all that is open."""
    if statement.startswith("INSERT"):
        return []
    given = parameters[0] if isinstance(parameters, list) else parameters
    plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", given)
    # A step that goes through the values of an IN is none of a table.
    steps = [step[3] for step in plan if "ROW VALUES" not in step[3]]
    return [f"{step}: {statement}" for step in steps if step.startswith("SCAN") or "(state=?" in step]
