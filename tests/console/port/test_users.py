"""Local users: salted slow hashes in a file, read again when it changes."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from console.errors import SettingsError
from console.port.keys import Keys
from console.port.roles import Role
from console.port.sessions import Sessions
from console.port.users import COST, Cost, PasswordHash, Users, check_names, read_users
from tests.console.port.test_keys import write as write_keys
from tests.console.port.test_rate import Clock

PASSWORD = "correct horse battery"  # noqa: S105
CHEAP = Cost(log_n=14, r=1, p=1)
"""The least that a file may state, for tests."""


def entry(name: str, role: str = "reviewer", password: str = PASSWORD, extra: str = "") -> str:
    """Return an entry of a file."""
    hashed = PasswordHash.of(password, CHEAP)
    return f'[[users]]\nname = "{name}"\npassword = "{hashed}"\nrole = "{role}"\n{extra}'


def write(path: Path, *entries: str) -> None:
    """Write a file of users in one step, as an orchestrator does."""
    staged = path.with_suffix(".new")
    staged.write_text("\n".join(entries) or "users = []")
    staged.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the users are."""
    return tmp_path / "users.toml"


def test_a_password_has_a_salt_and_a_stated_cost_and_comes_back_from_its_text() -> None:
    """Two people with one password have different hashes."""
    first, second = (PasswordHash.of(PASSWORD, CHEAP) for _ in range(2))
    assert str(first) != str(second)
    read = PasswordHash.parse(str(first))
    assert read == first
    assert [read.is_of(tried) for tried in (PASSWORD, PASSWORD + " ", "", "\udc80")] == [True, False, False, False]
    assert str(PasswordHash.of(PASSWORD)).startswith(f"scrypt${COST.log_n}${COST.r}${COST.p}$")


@pytest.mark.parametrize(
    "text",
    [
        "",
        PASSWORD,
        "scrypt$14$1$1$AAAA$AAAA",
        "bcrypt$14$1$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "scrypt$13$1$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "scrypt$30$8$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "scrypt$14$0$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "scrypt$14$999999999$1$AAAAAAAAAAAAAAAAAAAAAA==$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "scrypt$14$1$1$é$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    ],
)
def test_another_form_or_cost_of_a_hash_is_refused_and_not_quoted(path: Path, text: str) -> None:
    """A password that somebody wrote in plain stands in no log; a cost beyond reason takes no memory."""
    write(path, f'[[users]]\nname = "anna"\npassword = "{text}"\nrole = "viewer"')
    with pytest.raises(SettingsError, match=r"users\.0\.password: .*console user NAME") as refused:
        read_users(path)
    assert PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (entry("anna") + entry("anna"), "same name"),
        (entry("a b"), "name"),
        (entry("anna", role="boss"), "role"),
        (entry("anna", extra="colour = 1\n"), "colour"),
        ("", "users"),
        ("users = [", "not a TOML file"),
    ],
)
def test_a_file_of_users_that_cannot_be_used_is_refused(path: Path, content: str, named: str) -> None:
    """An empty one among them: it revokes nothing by mistake."""
    path.write_text(content)
    with pytest.raises(SettingsError, match=named):
        Users(path)


def test_a_login_is_bound_to_the_whole_entry(path: Path) -> None:
    """Another password, role or queue ends it; who stays as they were is left alone; a broken file changes nothing."""
    clock, states = Clock(), list[float]()
    anna, ben = entry("anna"), entry("ben")
    write(path, anna, ben)
    users = Users(path, clock=clock, on_state=states.append)
    sessions = Sessions(None, b"secret", users=users)
    cookies = {name: sessions.cookie(str(users.binding(name))) for name in ("anna", "ben")}
    found = sessions.caller(cookies["anna"])
    assert found is not None
    assert (found.name, found.role, found.queues, found.login) == ("anna", Role.REVIEWER, None, "cookie")
    clock.now_s += 2
    write(path, anna, ben + 'queues = ["default"]\n')
    assert sessions.caller(cookies["anna"]) is not None
    assert sessions.caller(cookies["ben"]) is None
    again = sessions.caller(sessions.cookie(str(users.binding("ben"))))
    assert again is not None
    assert again.queues == frozenset({"default"})
    clock.now_s += 2
    path.write_text("users = [")
    with capture_logs() as lines:
        assert sessions.caller(cookies["anna"]) is not None
    assert (lines[0]["event"], lines[0]["still_good"], states[-1]) == ("users_refused", ["anna", "ben"], 1)
    clock.now_s += 2
    write(path)
    assert sessions.caller(cookies["anna"]) is None
    assert states[-1] == 0


def test_a_name_that_is_not_there_costs_as_much_as_one_that_is(path: Path) -> None:
    """Else the time of an answer tells who has a login here."""
    write(path, entry("anna"))
    users = Users(path)
    nobodys = users.hash_of("nobody")
    assert nobodys.cost == users.hash_of("anna").cost == CHEAP
    assert not nobodys.is_of(PASSWORD)
    assert users.binding("nobody") is None


def test_a_key_and_a_user_of_one_name_are_refused(path: Path, tmp_path: Path) -> None:
    """A decision names its actor, and nothing else tells who took it."""
    write(path, entry("coral"))
    write_keys(tmp_path / "keys.toml", ("coral", "vs-key"))
    keys, users = Keys(tmp_path / "keys.toml"), Users(path)
    with pytest.raises(SettingsError, match="both named coral"):
        check_names(keys, users)
    check_names(keys, None)
