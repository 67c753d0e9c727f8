"""Who may fail to log in how often."""

import asyncio
from pathlib import Path

import pytest

from console.errors import Problem
from console.port.attempts import OF_ADDRESS, OF_NAME, Attempts
from console.port.logins import Logins
from console.port.sessions import Sessions
from console.port.users import Users
from tests.console.port.test_rate import Clock
from tests.console.port.test_users import PASSWORD, entry, write


def test_a_name_is_guessed_at_no_faster_than_allowed_from_however_many_addresses() -> None:
    """And a name that nobody has is treated as one that somebody has."""
    clock = Clock()
    attempts = Attempts(clock)
    waits = [attempts.wait_s("anna", f"10.0.0.{i}") for i in range(OF_NAME.burst + 1)]
    assert waits == [0] * OF_NAME.burst + [OF_NAME.every_s]
    clock.now_s += OF_NAME.every_s
    assert attempts.wait_s("anna", "10.0.1.1") == 0
    assert attempts.wait_s("anna", "10.0.1.1") > 0


def test_an_address_tries_no_more_names_and_keys_than_allowed() -> None:
    """A refused attempt counts against nobody else."""
    attempts = Attempts(Clock())
    waits = [attempts.wait_s(f"name-{i}" if i % 2 else None, "10.0.0.1") for i in range(OF_ADDRESS.burst + 1)]
    assert waits == [0] * OF_ADDRESS.burst + [OF_ADDRESS.every_s]
    assert attempts.wait_s("name-1", "10.0.0.2") == 0


def test_nobody_is_locked_out_by_guesses_from_elsewhere() -> None:
    """Who has logged in at an address goes on there; guesses at that address count by themselves."""
    attempts = Attempts(Clock())
    assert attempts.wait_s("anna", "10.0.0.1") == 0
    attempts.succeeded("anna", "10.0.0.1")
    for i in range(2 * OF_NAME.burst):
        attempts.wait_s("anna", f"10.0.9.{i}")
    assert attempts.wait_s("anna", "10.0.8.1") > 0
    waits = [attempts.wait_s("anna", "10.0.0.1") for _ in range(OF_NAME.burst + 1)]
    assert waits == [0] * OF_NAME.burst + [OF_NAME.every_s]


def test_who_succeeds_has_not_tried() -> None:
    """People behind one address log in all morning."""
    attempts = Attempts(Clock())
    for _ in range(3 * OF_ADDRESS.burst):
        assert attempts.wait_s("anna", "10.0.0.1") == 0
        attempts.succeeded("anna", "10.0.0.1")


@pytest.fixture
def logins(tmp_path: Path) -> Logins:
    """Return the logins of one user."""
    write(tmp_path / "users.toml", entry("anna"))
    return Logins(Sessions(None, b"secret", users=Users(tmp_path / "users.toml")), attempts=Attempts(Clock()))


def test_no_answer_tells_whether_a_name_exists(logins: Logins) -> None:
    """Neither its text nor its code, also after too many."""

    def refused(name: str, password: str) -> list[tuple[int, str, str]]:
        found = []
        for i in range(OF_NAME.burst + 2):
            with pytest.raises(Problem) as problem:
                asyncio.run(logins.with_password(name, password, f"{name} {i}"))
            found.append((problem.value.status.value, problem.value.code, problem.value.message))
        return found

    of_anna, of_nobody = refused("anna", "wrong password"), refused("nobody", "wrong password")
    assert of_anna == of_nobody
    assert {status for status, _, _ in of_anna} == {401, 429}
    with pytest.raises(Problem) as problem:
        asyncio.run(logins.with_password("anna", PASSWORD, "elsewhere"))
    assert problem.value.code == "too_many_logins", "the right password comes too late, as a wrong one would"


def test_a_user_who_was_taken_out_while_the_password_was_hashed_gets_no_cookie(tmp_path: Path) -> None:
    """The entry counts as it is when the cookie is signed."""
    clock, path = Clock(), tmp_path / "users.toml"
    write(path, entry("anna"))
    users = Users(path, clock=clock)
    logins = Logins(Sessions(None, b"secret", users=users))

    async def log_in() -> str:
        trying = asyncio.create_task(logins.with_password("anna", PASSWORD, "10.0.0.1"))
        await asyncio.sleep(0)
        write(path)
        clock.now_s += 2
        return await trying

    with pytest.raises(Problem, match="do not belong together"):
        asyncio.run(log_in())


def test_an_endless_password_is_nobodys(logins: Logins) -> None:
    """And its tail is not silently left out."""
    with pytest.raises(Problem, match="do not belong together"):
        asyncio.run(logins.with_password("anna", PASSWORD + "x" * 2_000, "10.0.0.1"))
    assert asyncio.run(logins.with_password("anna", PASSWORD, "10.0.0.1"))
