"""The database itself: opened by several, away, and back."""

import threading

import pytest
from sqlalchemy import func, insert, select

from console.errors import SettingsError
from console.store.store import Store, StoreAway, StoreRefused, open_store
from console.store.tables import LAYOUT, layout, preferences
from tests.console.databases import OpenStore
from tests.console.postgres import Postgres, running_postgres


def put(store: Store, person: str) -> None:
    """Write a row."""
    with store.writing() as connection:
        connection.execute(insert(preferences).values(person=person, values={}))


def persons(store: Store) -> int:
    """Count the rows."""
    with store.reading() as connection:
        return int(connection.execute(select(func.count()).select_from(preferences)).scalar_one())


def test_consoles_that_start_at_once_make_the_tables_once(open_one: OpenStore) -> None:
    """Each finds them, whoever was first."""
    stores: list[Store] = []
    threads = [threading.Thread(target=lambda: stores.append(open_one())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(stores) == 4
    with stores[0].reading() as connection:
        assert connection.execute(select(layout.c.version)).all() == [(LAYOUT,)]


def test_what_raises_in_a_transaction_is_not_written(store: Store) -> None:
    """The next transaction finds the database as it was."""

    def fails() -> None:
        with store.writing() as connection:
            connection.execute(insert(preferences).values(person="a", values={}))
            raise KeyError

    with pytest.raises(KeyError):
        fails()
    assert persons(store) == 0


def test_two_who_read_and_then_write_wait_for_one_another(open_one: OpenStore) -> None:
    """Neither fails because the other has written in between."""
    stores = [open_one(), open_one()]
    barrier = threading.Barrier(2)
    faults: list[Exception] = []

    def run(store: Store, name: str) -> None:
        barrier.wait(30)
        for number in range(20):
            try:
                with store.writing() as connection:
                    connection.execute(select(func.count()).select_from(preferences)).scalar_one()
                    connection.execute(insert(preferences).values(person=f"{name}{number}", values={}))
            except StoreAway as fault:
                faults.append(fault)

    threads = [threading.Thread(target=run, args=(store, name)) for store, name in zip(stores, "ab", strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (faults, persons(stores[0])) == ([], 40)


@pytest.mark.services
def test_a_server_that_goes_away_is_missed_at_once_and_found_again() -> None:
    """Nothing of a transaction that it takes along is written; the same store goes on with the server."""
    with running_postgres() as server:
        store = open_store(server.new_database())
        put(store, "before")

        def is_cut_off() -> None:
            with store.writing() as connection:
                connection.execute(insert(preferences).values(person="lost", values={}))
                server.stop()
                connection.execute(insert(preferences).values(person="lost, too", values={}))

        with pytest.raises(StoreAway):
            is_cut_off()
        for _ in range(2):
            with pytest.raises(StoreAway):
                persons(store)
        server.start()
        put(store, "after")
        assert persons(store) == 2
        store.close()


@pytest.mark.services
def test_a_value_that_postgresql_takes_not_is_refused_and_is_no_outage(postgres: Postgres) -> None:
    """Waiting would not help: a text with a NUL character, or one that is too long."""
    store = open_store(postgres.new_database())
    for person in ("a\0b", "a" * 200):
        with pytest.raises(StoreRefused):
            put(store, person)
    put(store, "c")
    assert persons(store) == 1
    store.close()


@pytest.mark.parametrize("url", ["nonsense", "mysql+pymysql://host/name", "postgresql://", "oracle://a/b"])
def test_an_address_of_something_else_is_refused(url: str) -> None:
    """The start ends with what is expected."""
    with pytest.raises((SettingsError, StoreAway)):
        open_store(url)
