"""What is old goes, what is open stays; on both databases."""

from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from console.store import pruning
from console.store.counting import DAY_MS, Counted, add_counts
from console.store.pruning import ACCESS_DAYS, prune
from console.store.store import Store
from console.store.tables import access_log, answers, counts, items, outbox, overridden
from tests.console.store.test_erasing import put, put_item, put_unsent, rows

NOW_MS = 1_000 * DAY_MS
OLD_MS, YOUNG_MS = NOW_MS - 91 * DAY_MS, NOW_MS - 89 * DAY_MS


def test_closed_items_go_with_their_answers_and_open_ones_stay_however_old(store: Store) -> None:
    """Nothing drops out of the queue."""
    for at_ms, changed in (
        (OLD_MS, {"state": "open"}),
        (OLD_MS, {"state": "done", "closed_ms": YOUNG_MS}),
        (OLD_MS, {"state": "done", "closed_ms": OLD_MS}),
        (OLD_MS, {"state": "erased", "closed_ms": OLD_MS}),
    ):
        item_id = put_item(store, "chat", at_ms)
        with store.writing() as connection:
            connection.execute(update(items).where(items.c.id == item_id).values(changed))
    assert prune(store, keep_days=90, now_ms=NOW_MS)["items"] == 2
    assert [row["closed_ms"] for row in rows(store, items)] == [None, YOUNG_MS]
    assert len(rows(store, answers)) == 2


def test_what_left_the_outbox_goes_and_what_waits_stays(store: Store) -> None:
    """However long it waits: the brokers may have been away. What was refused for good names a chat, and goes too."""
    sent: list[dict[str, Any]] = [
        {},
        {"sent_ms": OLD_MS},
        {"cancelled_ms": OLD_MS},
        {"sent_ms": YOUNG_MS},
        {"refused_ms": OLD_MS},
        {"refused_ms": YOUNG_MS},
    ]
    for number, changed in enumerate(sent):
        put_unsent(store, "chat", f"d{number}", OLD_MS)
        if changed:
            with store.writing() as connection:
                connection.execute(update(outbox).where(outbox.c.decision_id == f"d{number}").values(changed))
    assert prune(store, keep_days=90, now_ms=NOW_MS)["outbox"] == 3
    assert [row["decision_id"] for row in rows(store, outbox)] == ["d0", "d3", "d5"]


def test_old_counts_go_and_the_access_log_is_kept_for_longer(store: Store) -> None:
    """As long as the audit log."""
    with store.writing() as connection:
        add_counts(connection, {Counted(at, "decision", "p", "allow"): 1 for at in (OLD_MS, YOUNG_MS)})
    put(store, overridden, topic="t", partition=0, record_offset=1, decided_ms=OLD_MS)
    for days in (ACCESS_DAYS - 1, ACCESS_DAYS + 1):
        put(store, access_log, actor="ann", action="reveal", detail={}, at_ms=NOW_MS - days * DAY_MS)
    assert prune(store, keep_days=90, now_ms=NOW_MS) == {
        "items": 0, "outbox": 0, "counts": 1, "overridden": 1, "login_attempts": 0,
        "access_log": 1
    }  # fmt: skip
    assert [row["hour_ms"] for row in rows(store, counts)] == [YOUNG_MS]


def test_many_go_in_steps(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each a transaction, so that others write in between."""
    monkeypatch.setattr(pruning, "_STEP", 10)
    with store.writing() as connection:
        numbers = [
            {"hour_ms": OLD_MS - number, "what": "decision", "policy": "", "key": "allow", "n": 1}
            for number in range(35)
        ]
        connection.execute(insert(counts), numbers)
    assert prune(store, keep_days=90, now_ms=NOW_MS)["counts"] == 35
    with store.reading() as connection:
        assert connection.execute(select(func.count()).select_from(counts)).scalar() == 0
