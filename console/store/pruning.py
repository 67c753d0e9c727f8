"""Delete what is old: closed items with all of theirs, what left the outbox, counts, the access log, failed logins.

An open item is never deleted, however old: nothing drops out of the queue.
"""

from typing import Final

from sqlalchemy import ColumnElement, Table, delete, or_, select, tuple_

from console.store.counting import DAY_MS
from console.store.store import Store
from console.store.tables import access_log, counts, items, login_attempts, outbox, overridden

ACCESS_DAYS: Final = 400
"""How long it is known who saw what: as long as the audit log is kept."""
_STEP: Final = 1_000
"""Rows of one transaction: others write in between."""


def prune(store: Store, *, keep_days: int, now_ms: int) -> dict[str, int]:
    """Delete what is older than it is kept, in steps that each are a transaction.

    Args:
        store: The database.
        keep_days: How long a closed item is kept.
        now_ms: Now.

    Returns:
        Rows that are gone, by table, without those that went with their items.

    Raises:
        StoreAway: the database does not answer; what was deleted before stays deleted.
    """
    before = now_ms - keep_days * DAY_MS
    # A refused row as well: it names a chat, and an admin has had all this time to try it again.
    is_over = or_(outbox.c.sent_ms < before, outbox.c.cancelled_ms < before, outbox.c.refused_ms < before)
    old: list[tuple[Table, ColumnElement[bool]]] = [
        (items, items.c.closed_ms < before),
        (outbox, is_over),
        (counts, counts.c.hour_ms < before),
        (overridden, overridden.c.decided_ms < before),
        (login_attempts, login_attempts.c.kept_until_ms < now_ms),
        (access_log, access_log.c.at_ms < now_ms - max(keep_days, ACCESS_DAYS) * DAY_MS),
    ]
    n_deleted = {table.name: _delete(store, table, is_old) for table, is_old in old}
    if store.is_sqlite:
        with store.writing() as connection:
            # What PostgreSQL does by itself: statements choose their indexes by how many rows have what.
            connection.exec_driver_sql("PRAGMA analysis_limit = 1000")
            connection.exec_driver_sql("PRAGMA optimize = 0x10002")
    return n_deleted


def _delete(store: Store, table: Table, is_old: ColumnElement[bool]) -> int:
    key = tuple_(*table.primary_key.columns)
    n_deleted = 0
    while True:
        with store.writing() as connection:
            some = select(*table.primary_key.columns).where(is_old).limit(_STEP)
            n_step = connection.execute(delete(table).where(key.in_(some))).rowcount
        n_deleted += n_step
        if n_step < _STEP:
            return n_deleted
