"""A database of an earlier release: brought to this one's layout with its rows, by one of those who start."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, Connection, create_engine, inspect, select, text, update
from structlog.testing import capture_logs

from console.errors import SettingsError
from console.store.counting import totals
from console.store.migrations import STEPS, Step, add_column, add_index, migrate
from console.store.outbox_shown import backlog, refusals
from console.store.store import Store, open_store
from console.store.tables import LAYOUT, items, layout
from tests.console.databases import OpenStore
from tests.console.store.layouts import make_layout_1


@pytest.fixture
def earlier(url: str) -> str:
    """Return the address of a database of layout 1 with rows in it."""
    make_layout_1(url)
    return url


def described(url: str) -> dict[str, Any]:
    """Return tables, columns, keys and indexes of a database; types as the database names them."""
    engine = create_engine(url)
    found = inspect(engine)
    tables = {
        name: {
            "columns": {
                one["name"]: (str(one["type"]), one["nullable"], one["default"]) for one in found.get_columns(name)
            },
            "key": found.get_pk_constraint(name)["constrained_columns"],
            "unique": sorted(str(one["column_names"]) for one in found.get_unique_constraints(name)),
            "foreign": sorted(str(one["constrained_columns"]) for one in found.get_foreign_keys(name)),
            "indexes": {one["name"]: (one["column_names"], bool(one["unique"])) for one in found.get_indexes(name)},
        }
        for name in found.get_table_names()
    }
    engine.dispose()
    return tables


def version(store: Store) -> Sequence[int]:
    """Return the rows of the table that names the layout."""
    with store.reading() as connection:
        return list(connection.execute(select(layout.c.version)).scalars())


def test_the_rows_of_an_earlier_release_are_there_after_the_start(
    earlier: str,  # noqa: ARG001
    open_one: OpenStore,
) -> None:
    """The queue, what waits and what was refused go on; the log says what was done."""
    with capture_logs() as logs:
        store = open_one()
    (line,) = [one for one in logs if one["event"] == "database_migrated"]
    assert (line["was"], line["layout"], len(line["done"])) == (1, LAYOUT, len(STEPS))
    assert version(store) == [LAYOUT]
    with store.reading() as connection:
        assert connection.execute(select(items.c.id, items.c.chat_id)).all() == [(7, "chat-7")]
        assert [one.row for one in refusals(connection)] == [3]
        assert backlog(connection, 10).n_waiting == 1
        assert totals(connection, ["letter"], since_ms=0, until_ms=1) == {("letter", "", "invalid_json"): 12}
    with capture_logs() as logs:
        open_one()
    assert [one for one in logs if one["event"].startswith("database_")] == []


def test_steps_make_what_a_new_database_is_given(earlier: str, open_one: OpenStore, tmp_path: Path) -> None:
    """A column, index or table that only one of the two has would be missed by those who came the other way."""
    open_one()
    if earlier.startswith("sqlite"):
        new = f"sqlite:///{tmp_path / 'new.sqlite3'}"
    else:
        new = earlier.replace("/console_", "/new_")
        engine = create_engine(earlier, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {new.rpartition('/')[2]}"))
        engine.dispose()
    open_store(new).close()
    assert described(earlier) == described(new)


def test_of_consoles_that_start_at_once_one_changes_the_tables(earlier: str, open_one: OpenStore) -> None:  # noqa: ARG001
    """The others wait for it, and find them changed."""
    stores: list[Store] = []
    with capture_logs() as logs:
        threads = [threading.Thread(target=lambda: stores.append(open_one())) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [version(store) for store in stores] == [[LAYOUT]] * 4
    assert sum(one["event"] == "database_migrated" for one in logs) == 1


def test_a_later_layout_is_refused_and_left_as_it_is(url: str, open_one: OpenStore) -> None:
    """The text says what was found, expected and what to do; a table that the later release dropped stays away."""
    store = open_one()
    with store.writing() as connection:
        connection.execute(update(layout).values(version=LAYOUT + 1))
        connection.execute(text("DROP TABLE preferences"))
    before = described(url)
    with pytest.raises(SettingsError, match=rf"has layout {LAYOUT + 1}; expected {LAYOUT} or .*run that release"):
        open_one()
    assert described(url) == before


def test_a_step_that_fails_leaves_the_database_as_it_was(earlier: str, open_one: OpenStore) -> None:
    """All steps are one transaction, on SQLite too: an earlier release can still start."""
    store = open_one()
    before = described(earlier)

    def adds_and_fails(connection: Connection) -> None:
        add_column(connection, "items", Column("shade", BigInteger))
        add_index(connection, "items", "items_by_shade", "shade", "id")
        raise KeyError

    steps = [*STEPS, Step(LAYOUT + 1, "a shade", adds_and_fails)]
    with pytest.raises(KeyError), store.writing() as connection:
        migrate(connection, steps)
    assert described(earlier) == before
    assert version(store) == [LAYOUT]


def test_what_a_step_adds_is_there(earlier: str, open_one: OpenStore) -> None:
    """Columns with a default count for the rows that were there before; an index is one."""
    store = open_one()

    def adds(connection: Connection) -> None:
        add_column(connection, "items", Column("shade", BigInteger, nullable=False, server_default="3"))
        add_index(connection, "items", "items_by_shade", "shade", "id")

    with store.writing() as connection:
        assert migrate(connection, [*STEPS, Step(LAYOUT + 1, "a shade", adds)]).done == ["a shade"]
    found = described(earlier)["items"]
    assert found["indexes"]["items_by_shade"] == (["shade", "id"], False)
    with store.reading() as connection:
        assert connection.execute(text("SELECT shade FROM items")).scalars().all() == [3]
    assert version(store) == [LAYOUT + 1]


def test_steps_are_numbered_without_a_gap_up_to_the_layout() -> None:
    """One that is missing would be skipped for ever."""
    assert [step.version for step in STEPS] == list(range(2, LAYOUT + 1))
