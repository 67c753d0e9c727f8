"""Work that one console does at a time: whoever holds the lease does it, and a holder that died is followed by another.

A lease alone keeps nobody from finishing what was begun under it. What must not be done twice is checked once more in
its own transaction: the intake compares offsets (`console.store.offsets`).
"""

from sqlalchemy import Connection, delete, or_, select

from console.store.dialect import database_ms, upsert
from console.store.tables import leases


def take(connection: Connection, name: str, holder: str, *, for_ms: int) -> bool:
    """Take or renew a lease; say whether it is the holder's now.

    Args:
        connection: Of `Store.writing`.
        name: Of the work.
        holder: Of this console, different in each process; at most 64 characters.
        for_ms: Another console may take it after so many milliseconds.
    """
    now = database_ms(connection)
    put = upsert(connection, leases).values(name=name, holder=holder, until_ms=now + for_ms)
    taken = connection.execute(
        put.on_conflict_do_update(
            index_elements=[leases.c.name],
            set_={"holder": holder, "until_ms": now + for_ms},
            where=or_(leases.c.holder == holder, leases.c.until_ms <= now),
        ).returning(leases.c.holder)
    )
    # Where the condition fails no row comes back.
    return taken.scalar() is not None


def holder_of(connection: Connection, name: str) -> str | None:
    """Return who holds a lease now; None where nobody does."""
    held = select(leases.c.holder).where(leases.c.name == name, leases.c.until_ms > database_ms(connection))
    return connection.execute(held).scalar()


def give_back(connection: Connection, name: str, holder: str) -> None:
    """Let another console take the lease at once; nothing where it is another one's."""
    connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
