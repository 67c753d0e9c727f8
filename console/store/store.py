"""Open the database, and its transactions."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import ArgumentError, DataError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from console.errors import SettingsError
from console.store.migrations import migrate
from console.store.tables import LAYOUT

_BUSY_S: Final = 10.0
"""How long a transaction waits for another one's lock, and a start for the database."""
_CHECKPOINT_S: Final = 1.0
_POOL_S: Final = 5.0
"""How long a transaction waits for one of the connections, which others have."""
_CONNECTIONS, _MORE_CONNECTIONS = 10, 10
"""Kept, and made besides at most: one for each thread that asks (`console.port.threads`), and those of the console."""
_STATEMENT_S: Final = 60.0
"""PostgreSQL ends a statement that takes longer; pruning, the longest, is done in steps."""
_IDLE_S: Final = 60.0
"""PostgreSQL ends a transaction that says nothing for longer: its console hangs, and holds locks."""
_MIGRATION_S: Final = 300.0
"""How long a start may take to bring the tables of an earlier release to this one's, or wait until another has."""
_MAKING_TABLES: Final = 0x7664_7374
"""Name of the lock under which one console makes the tables."""

log = structlog.get_logger()


class StoreAway(Exception):  # noqa: N818  the name says what happened
    """The database does not answer, or not now; nothing of the transaction was written."""


class StoreRefused(Exception):  # noqa: N818  the name says what happened
    """The database takes no such value (too long, or with a NUL character); nothing of the transaction was written."""


class Store:
    """The database.

    Args:
        engine: SQLAlchemy's.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._write_error: str | None = None

    @property
    def write_error(self) -> str | None:
        """Why the newest transaction that writes could not; None where it could.

        A full disk and a read-only server answer every question and take nothing. Consoles renew leases every few
        seconds, so that this is never old.
        """
        return self._write_error

    @property
    def is_sqlite(self) -> bool:
        """Whether one file on this machine is the database."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a transaction; it is committed at the end, and rolled back where the block raises.

        Raises:
            StoreAway: the database does not answer.
            StoreRefused: it takes no such value; the same again ends in the same way.
        """
        told: set[str] = set()
        engine = self._engine.execution_options(writes=True, told=told)
        try:
            with self._guarded(), engine.begin() as connection:
                yield connection
        except StoreAway as away:
            self._write_error = str(away)
            raise
        self._write_error = None
        for name in told:
            for call in self._listeners.get(name, ()):
                call()

    def listen(self, name: str, call: Callable[[], None]) -> None:
        """Have a function called after each transaction that told of `name`; it must be short and not raise.

        A transaction tells by adding the name to its execution option `told`.
        """
        self._listeners.setdefault(name, []).append(call)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection to read with; raises as `writing` does."""
        with self._guarded(), self._engine.connect() as connection:
            yield connection

    def drop_remains(self) -> None:
        """Empty SQLite's log, in which deleted values stand; where others read, as far as they let it.

        PostgreSQL sees to its own: a deleted row's bytes stay until autovacuum, and in its log as long as that is kept.

        Raises:
            StoreAway: the database does not answer.
        """
        if not self.is_sqlite:
            return
        with self._guarded():
            connection = self._engine.raw_connection()
            try:
                cursor = connection.cursor()
                # It holds the lock of those who write while it waits for those who read.
                cursor.execute(f"PRAGMA busy_timeout = {round(_CHECKPOINT_S * 1_000)}")
                try:
                    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                finally:
                    cursor.execute(f"PRAGMA busy_timeout = {round(_BUSY_S * 1_000)}")
            finally:
                connection.close()

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except IntegrityError:
            # The caller's to understand: somebody else was first.
            raise
        except DataError as error:
            raise StoreRefused(type(error.orig).__name__) from error
        except SQLAlchemyError as error:
            # Its text may quote values; the class says what happened.
            raise StoreAway(type(error).__name__) from error


def now_ms() -> int:
    """Return the time, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def open_store(url: str) -> Store:
    """Open the database; make its tables where there are none, and bring those of an earlier layout to this one's.

    Args:
        url: SQLAlchemy address.

    Raises:
        SettingsError: the address is not understood, or the database is of a later layout.
        StoreAway: it does not answer.
    """
    try:
        engine = create_engine(
            url,
            pool_pre_ping=True,
            pool_timeout=_POOL_S,
            pool_size=_CONNECTIONS,
            max_overflow=_MORE_CONNECTIONS,
            connect_args=_connecting(url),
        )
    except (ArgumentError, NoSuchModuleError, ImportError):
        raise SettingsError(
            "store.url is not understood; expected sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/NAME"
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _set_up_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif engine.dialect.name == "postgresql":
        event.listen(engine, "connect", _set_up_postgresql)
    else:
        raise SettingsError(f"store.url names {engine.dialect.name}; expected sqlite or postgresql+psycopg")
    store = Store(engine)
    _make_tables(store)
    return store


def _make_tables(store: Store) -> None:
    started_s = time.monotonic()
    with store.writing() as connection:
        if not store.is_sqlite:
            # Of two consoles that start at once the second finds the tables, however long the first takes.
            for limit in ("lock_timeout", "statement_timeout"):
                connection.execute(text(f"SET LOCAL {limit} = '{round(_MIGRATION_S * 1_000)}ms'"))
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MAKING_TABLES})
        migrated = migrate(connection)
    if migrated.found is None:
        log.info("database_made", layout=LAYOUT)
    elif migrated.done:
        log.info(
            "database_migrated",
            layout=LAYOUT,
            was=migrated.found,
            done=list(migrated.done),
            total_ms=round((time.monotonic() - started_s) * 1_000, 1),
        )


def _connecting(url: str) -> dict[str, Any]:
    if url.startswith("sqlite"):
        return {"timeout": _BUSY_S}
    # A server that is cut off says nothing at all.
    return {
        "connect_timeout": round(_BUSY_S),
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": round(_BUSY_S * 1_000),
    }


def _set_up_postgresql(connection: Any, _record: Any) -> None:
    # Not as options of the connection: poolers in between refuse those.
    with connection.cursor() as cursor:
        for name, seconds in (
            ("lock_timeout", _BUSY_S),
            ("statement_timeout", _STATEMENT_S),
            ("idle_in_transaction_session_timeout", _IDLE_S),
        ):
            cursor.execute(f"SET {name} = '{round(seconds * 1_000)}ms'")
    connection.commit()


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    # pysqlite would begin transactions by its own rules, after the first read.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", "secure_delete=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and then writes would fail where another one wrote meanwhile.
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
