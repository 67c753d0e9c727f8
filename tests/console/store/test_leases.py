"""One console at a time, and another one after a crash; on SQLite and on PostgreSQL."""

import pytest
from sqlalchemy import update

from console.store.leases import give_back, holder_of, take
from console.store.store import Store
from console.store.tables import leases
from tests.console.databases import OpenStore


@pytest.fixture
def other(open_one: OpenStore, store: Store) -> Store:  # noqa: ARG001  it is the second one
    """Return the same database, opened by another console."""
    return open_one()


def taken(store: Store, holder: str, name: str = "intake") -> bool:
    """Try to take a lease for a minute."""
    with store.writing() as connection:
        return take(connection, name, holder, for_ms=60_000)


def test_a_lease_is_one_consoles_and_renews(store: Store, other: Store) -> None:
    """The second console stands by, and knows for whom."""
    assert taken(store, "a")
    assert not taken(other, "b")
    assert taken(store, "a")
    with other.reading() as connection:
        assert holder_of(connection, "intake") == "a"
    assert taken(other, "b", "sending")


def test_a_holder_that_died_is_followed_by_another(store: Store, other: Store) -> None:
    """Its lease lapses; what it tries afterwards is refused."""
    assert taken(store, "a")
    with store.writing() as connection:
        connection.execute(update(leases).values(until_ms=1))
    with store.reading() as connection:
        assert holder_of(connection, "intake") is None
    assert taken(other, "b")
    assert not taken(store, "a")


def test_a_lease_that_is_given_back_is_anybodys_at_once(store: Store, other: Store) -> None:
    """Giving back another one's lease does nothing."""
    assert taken(store, "a")
    with other.writing() as connection:
        give_back(connection, "intake", "b")
    assert not taken(other, "b")
    with store.writing() as connection:
        give_back(connection, "intake", "a")
    assert taken(other, "b")
