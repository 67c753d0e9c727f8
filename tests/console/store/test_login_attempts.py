"""Failed logins as all consoles of a database count them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, select

from console.errors import Problem
from console.port.attempts import OF_ADDRESS, OF_NAME
from console.port.logins import Logins
from console.port.sessions import Sessions
from console.port.users import Users
from console.store import login_attempts as counted
from console.store.login_attempts import StoredAttempts
from console.store.pruning import prune
from console.store.store import Store
from console.store.tables import login_attempts
from tests.console.databases import OpenStore
from tests.console.port.test_rate import Clock
from tests.console.port.test_users import PASSWORD, entry, write

HOUR_MS = 3_600_000


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Return the time by which consoles agree."""
    made = Clock()
    monkeypatch.setattr(counted, "database_ms", lambda _connection: 1_000_000 + round(made.now_s * 1_000))
    return made


@pytest.fixture
def consoles(open_one: OpenStore, clock: Clock) -> list[StoredAttempts]:  # noqa: ARG001
    """Return what two consoles of one database count by."""
    return [StoredAttempts(open_one()), StoredAttempts(open_one())]


def test_two_consoles_share_the_limit_of_a_name(consoles: list[StoredAttempts], clock: Clock) -> None:
    """And one that starts anew goes on from it."""
    waits = [consoles[i % 2].wait_s("anna", f"10.0.0.{i}") for i in range(OF_NAME.burst + 1)]
    assert waits == [0] * OF_NAME.burst + [OF_NAME.every_s]
    assert StoredAttempts(consoles[0]._store).wait_s("anna", "10.0.1.1") == OF_NAME.every_s
    clock.now_s += OF_NAME.every_s
    assert consoles[0].wait_s("anna", "10.0.1.1") == 0
    assert consoles[1].wait_s("anna", "10.0.1.1") == OF_NAME.every_s


def test_an_address_tries_no_more_names_and_keys_than_allowed(consoles: list[StoredAttempts]) -> None:
    """A refused attempt counts against nobody else."""
    names = [f"name-{i}" if i % 2 else None for i in range(OF_ADDRESS.burst + 1)]
    waits = [consoles[i % 2].wait_s(name, "10.0.0.1") for i, name in enumerate(names)]
    assert waits == [0] * OF_ADDRESS.burst + [OF_ADDRESS.every_s]
    assert consoles[0].wait_s("name-1", "10.0.0.2") == 0


def test_who_guesses_at_one_name_locks_out_nobody_else(consoles: list[StoredAttempts]) -> None:
    """Neither another name, nor whoever shares the address, nor the person where they have logged in."""
    assert consoles[0].wait_s("anna", "10.0.0.1") == 0
    consoles[0].succeeded("anna", "10.0.0.1")
    for _ in range(10 * OF_ADDRESS.burst):
        consoles[0].wait_s("anna", "10.0.0.9")
    assert consoles[1].wait_s("anna", "10.0.0.9") == OF_NAME.every_s
    assert consoles[1].wait_s("ben", "10.0.0.9") == 0
    waits = [consoles[1].wait_s("anna", "10.0.0.1") for _ in range(OF_NAME.burst + 1)]
    assert waits == [0] * OF_NAME.burst + [OF_NAME.every_s]


def test_who_succeeds_has_not_tried(consoles: list[StoredAttempts]) -> None:
    """People behind one address log in all morning."""
    for i in range(3 * OF_ADDRESS.burst):
        assert consoles[i % 2].wait_s("anna", "10.0.0.1") == 0
        consoles[i % 2].succeeded("anna", "10.0.0.1")


def test_no_name_stands_there_and_what_is_over_goes(store: Store, clock: Clock) -> None:
    """People type passwords into the wrong field."""
    attempts = StoredAttempts(store)
    attempts.wait_s("a password", "10.0.0.1")

    def keys() -> list[str]:
        with store.reading() as connection:
            return list(connection.execute(select(login_attempts.c.key)).scalars())

    assert [len(key) for key in keys()] == [64, 64]
    attempts.succeeded("anna", "10.0.0.2")
    prune(store, keep_days=1, now_ms=1_000_000 + round(clock.now_s * 1_000) + HOUR_MS)
    assert len(keys()) == 1, "it is kept where somebody has logged in"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    """Return a file of one user."""
    write(tmp_path / "users.toml", entry("anna"))
    return Users(tmp_path / "users.toml")


@pytest.fixture
def away(store: Store) -> Iterator[Store]:
    """Return the store of a database that does not answer."""
    real = store._engine
    store._engine = create_engine("postgresql+psycopg://nobody@127.0.0.1:1/none", connect_args={"connect_timeout": 1})
    yield store
    store._engine = real


def test_while_the_database_is_away_a_console_counts_by_itself(users: Users, away: Store) -> None:
    """People log in to be told that it is away, and nobody guesses the faster for it."""
    logins = Logins(Sessions(None, b"secret", users=users), shared=StoredAttempts(away))
    assert asyncio.run(logins.with_password("anna", PASSWORD, "10.0.0.1"))
    codes = []
    for i in range(OF_NAME.burst + 1):
        with pytest.raises(Problem) as problem:
            asyncio.run(logins.with_password("ben", "wrong password", f"10.0.1.{i}"))
        codes.append(problem.value.code)
    assert codes == ["invalid_login"] * OF_NAME.burst + ["too_many_logins"]
