"""When the console began to count verdicts."""

from sqlalchemy import Connection, func, select

from console.store.tables import counts


def first_hour(connection: Connection) -> int | None:
    """Return the beginning of the first hour that has a count, milliseconds since 1970; None where none has."""
    found = connection.execute(select(func.min(counts.c.hour_ms))).scalar()
    return None if found is None else int(found)
