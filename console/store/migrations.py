"""Make the database's tables, or bring those of an earlier layout to this one's: forward only, in one transaction.

To change the tables: change `tables.py`, raise `LAYOUT` there by one, and add a step below that does the same to a
database with rows. A step names tables and columns itself and never imports them from `tables.py`, which is always
the newest layout. A column that is added may be empty, or has a `server_default`. `tests/console/store/
test_migrations.py` compares what the steps make with what a new database is given, on SQLite and PostgreSQL.

Invariant: a console that still runs with the layout before goes on working, so a step takes nothing away that it uses.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.schema import CreateColumn
from sqlalchemy.types import NullType

from console.errors import SettingsError
from console.store.tables import LAYOUT, layout, metadata

_ID: Final = BigInteger().with_variant(Integer, "sqlite")


class Step(NamedTuple):
    """What makes a layout of the one before it."""

    version: int
    """Of the layout that it makes."""
    what: str
    """What is new, for the log."""
    apply: Callable[[Connection], None]


class Migrated(NamedTuple):
    """What was done to a database."""

    found: int | None
    """Its layout as it was found; None: it had no tables."""
    done: Sequence[str]
    """What each step has changed, in order."""


def migrate(connection: Connection, steps: Sequence[Step] | None = None) -> Migrated:
    """Bring the tables to the newest layout, in the caller's transaction, which keeps other consoles out.

    Args:
        connection: Of `Store.writing`; of PostgreSQL with the lock of those who make tables.
        steps: In order; None: those of this release.

    Raises:
        SettingsError: a later release has changed the tables; nothing was done.
    """
    steps = STEPS if steps is None else steps
    newest = max([LAYOUT, *(step.version for step in steps)])
    found = connection.execute(select(layout.c.version)).scalar() if inspect(connection).has_table("layout") else None
    if found is None:
        metadata.create_all(connection)
        connection.execute(insert(layout).values(version=LAYOUT))
        return Migrated(None, ())
    if found > newest:
        raise SettingsError(
            f"the database has layout {found}; expected {newest} or an earlier one; a later release has changed its "
            "tables, and there is no way back: run that release, or restore the copy of the database from before it"
        )
    open_steps = [step for step in steps if step.version > found]
    for step in open_steps:
        step.apply(connection)
    if open_steps:
        connection.execute(update(layout).values(version=newest))
    return Migrated(found, [step.what for step in open_steps])


def add_column(connection: Connection, table: str, column: Column[Any]) -> None:
    """Add a column to a table that is there."""
    Table(table, MetaData(), column)
    definition = str(CreateColumn(column).compile(dialect=connection.dialect))
    # A colon would be taken for the beginning of a value's name.
    connection.execute(text(f"ALTER TABLE {table} ADD COLUMN {definition}".replace(":", r"\:")))


def add_index(connection: Connection, table: str, name: str, *columns: str) -> None:
    """Add an index to a table that is there."""
    there = Table(table, MetaData(), *(Column(column, NullType()) for column in columns))
    Index(name, *(there.c[column] for column in columns)).create(connection)


def _rows_can_be_dismissed(connection: Connection) -> None:
    add_column(connection, "outbox", Column("dismissed_ms", BigInteger))


def _failed_logins_are_shared(connection: Connection) -> None:
    made = Table(
        "login_attempts",
        MetaData(),
        Column("key", String(64), primary_key=True),
        Column("full_ms", BigInteger, nullable=False),
        Column("kept_until_ms", BigInteger, nullable=False),
        Index("login_attempts_by_age", "kept_until_ms"),
    )
    made.create(connection)


def _similar_texts_are_found(connection: Connection) -> None:
    there = MetaData()
    Table("items", there, Column("id", _ID, primary_key=True))
    made = Table(
        "signatures",
        there,
        Column("item_id", _ID, ForeignKey("items.id", ondelete="CASCADE"), primary_key=True),
        Column("band", Integer, primary_key=True),
        Column("value", BigInteger, nullable=False),
        Index("signatures_by_value", "value"),
    )
    made.create(connection)


STEPS: Final[tuple[Step, ...]] = (
    Step(2, "outbox.dismissed_ms: a refused row that an admin has dismissed", _rows_can_be_dismissed),
    Step(3, "login_attempts: failed logins that all consoles count together", _failed_logins_are_shared),
    Step(4, "signatures: by which similar chats stand beside an item", _similar_texts_are_found),
)
