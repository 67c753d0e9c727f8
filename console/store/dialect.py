"""What SQLite and PostgreSQL say in different words."""

from typing import TypeAlias

from sqlalchemy import Connection, Table, text
from sqlalchemy.dialects import postgresql, sqlite

from console.store.store import now_ms

Upsert: TypeAlias = sqlite.Insert | postgresql.Insert


def upsert(connection: Connection, table: Table) -> Upsert:
    """Return an insert that can say what happens to a row that is there already (`on_conflict_do_…`)."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def database_ms(connection: Connection) -> int:
    """Return the time by which consoles agree, milliseconds since 1970.

    Of PostgreSQL it is the server's: the clocks of two machines differ. SQLite's consoles share a machine.
    """
    if connection.dialect.name == "sqlite":
        return now_ms()
    return int(connection.execute(text("SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint")).scalar_one())
