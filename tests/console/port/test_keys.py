"""API keys: hashes in a file, read again when it changes."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from console.errors import SettingsError
from console.port.keys import Keys, hash_of, new_key, read_keys
from tests.console.port.test_rate import Clock


def write(path: Path, *named: tuple[str, str], extra: str = "") -> None:
    """Write a file of keys in one step, as an orchestrator does."""
    staged = path.with_suffix(".new")
    staged.write_text("".join(f'[[keys]]\nname = "{name}"\nsha256 = "{hash_of(key)}"\n{extra}' for name, key in named))
    staged.replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the keys are."""
    return tmp_path / "keys.toml"


def test_a_key_names_its_caller_and_nothing_else_does(path: Path) -> None:
    """Neither the name nor the hash is a key."""
    key, digest = new_key()
    write(path, ("coral", key))
    keys = Keys(path)
    caller = keys.caller(key)
    assert caller is not None
    assert caller.name == "coral"
    assert [keys.caller(wrong) for wrong in ("", "coral", digest, key + "x", "\udc80")] == [None] * 5


def test_two_new_keys_differ(path: Path) -> None:
    """And the file's form takes what `key` prints."""
    (first, digest), (second, _) = new_key(), new_key()
    assert first != second
    write(path, ("a", first))
    assert read_keys(path).keys[0].sha256 == digest


def test_a_rotation_needs_no_restart_and_keeps_the_limits_of_who_stays(path: Path) -> None:
    """Else each new file would give everyone a fresh burst."""
    clock = Clock()
    write(path, ("stays", "k1"), ("goes", "k2"), extra="conversations_per_s = 1\n")
    keys = Keys(path, clock=clock)
    stays = keys.caller("k1")
    assert stays is not None
    assert stays.limit is not None
    write(path, ("stays", "k1"), ("comes", "k3"), extra="conversations_per_s = 1\n")
    assert keys.caller("k2") is not None, "the file is looked at once a second"
    clock.now_s += 2
    assert keys.caller("k2") is None
    comes = keys.caller("k3")
    assert comes is not None
    assert comes.name == "comes"
    assert keys.caller("k1") is stays


@pytest.mark.parametrize("bad", ["", "keys = 3", "[[keys]]\nname = 'a'\n", "not toml [", None])
def test_a_bad_new_file_leaves_the_last_good_one_in_force(path: Path, bad: str | None) -> None:
    """Half a file must not lock everybody out; the metric says that it is so."""
    clock = Clock()
    states: list[float] = []
    write(path, ("a", "k1"))
    keys = Keys(path, on_state=states.append, clock=clock)
    if bad is None:
        path.unlink()
    else:
        path.write_text(bad)
    clock.now_s += 2
    with capture_logs() as lines:
        assert keys.caller("k1") is not None
    assert states == [1]
    (line,) = lines
    assert (line["event"], line["log_level"], line["still_good"]) == ("keys_refused", "error", ["a"])
    assert "keys = []" in line["remedy"]
    write(path, ("b", "k2"))
    clock.now_s += 2
    assert keys.caller("k1") is None
    assert states == [1, 0]


def test_an_explicit_empty_list_revokes_every_key(path: Path) -> None:
    """It is no accident, as an empty file may be."""
    clock = Clock()
    states: list[float] = []
    write(path, ("a", "k1"))
    keys = Keys(path, on_state=states.append, clock=clock)
    path.write_text("keys = []\n")
    clock.now_s += 2
    assert keys.caller("k1") is None
    assert list(keys.logins()) == []
    assert states == [0]
    write(path, ("a", "k1"))
    clock.now_s += 2
    assert keys.caller("k1") is not None


def test_a_port_may_start_with_every_key_revoked(path: Path) -> None:
    """A restart must not need a key that opens."""
    path.write_text("keys = []\n")
    assert Keys(path).caller("k1") is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[[keys]]\nname = 'a b'\nsha256 = '" + "0" * 64 + "'",
        "[[keys]]\nname = 'a'\nsha256 = 'vs-plain-key'",
        ("[[keys]]\nname = 'a'\nsha256 = '" + "0" * 64 + "'\n") * 2,
        "[[keys]]\nname = 'a'\nkey = 'vs-plain-key'",
    ],
)
def test_a_file_that_is_not_understood_is_refused_and_not_quoted(path: Path, content: str) -> None:
    """Someone may have put the key itself into it."""
    path.write_text(content)
    with pytest.raises(SettingsError, match=r"expected \[\[keys\]\]") as refused:
        Keys(path)
    assert "vs-plain-key" not in str(refused.value)


def test_the_default_rate_is_for_entries_without_one(path: Path) -> None:
    """Burst: two seconds' worth."""
    write(path, ("a", "k1"))
    caller = Keys(path, default_per_s=5).caller("k1")
    assert caller is not None
    assert caller.limit is not None
    assert Keys(path).caller("k1").limit is None  # type: ignore[union-attr]
