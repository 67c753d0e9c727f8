"""`check-config`, `key` and `openapi` of the command line."""

from pathlib import Path

import pytest

from console.port.keys import hash_of, read_keys
from tests.command_line import run_main


def test_check_config_lists_every_setting() -> None:
    """With what it means."""
    done = run_main("console", "check-config")
    assert done.returncode == 0
    out = done.stdout.decode()
    assert "CONSOLE_HTTP__KEYS_FILE" in out
    assert "CONSOLE_QUEUE__DEADLINE_S" in out
    assert out.splitlines()[-1].startswith("ok: ")


def test_check_config_checks_the_files(tmp_path: Path) -> None:
    """Keys and policies."""
    done = run_main("console", "check-config", environment={"CONSOLE_HTTP__KEYS_FILE": str(tmp_path / "none")})
    assert (done.returncode, b"none" in done.stderr) == (2, True)
    done = run_main("console", "check-config", environment={"CONSOLE_MODEL__POLICIES_PATH": str(tmp_path / "none")})
    assert done.returncode == 2


def test_a_key_is_shown_once_and_its_entry_is_what_the_file_takes(tmp_path: Path) -> None:
    """The entry on standard output may be appended to the file; the key is not in it."""
    done = run_main("console", "key", "coral")
    key = done.stderr.decode().strip().rpartition(" ")[2]
    assert key.startswith("vs-")
    path = tmp_path / "keys.toml"
    path.write_bytes(done.stdout)
    (entry,) = read_keys(path).keys
    assert (entry.name, entry.sha256) == ("coral", hash_of(key))
    assert key not in done.stdout.decode()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\nb"])
def test_a_key_with_a_name_that_the_file_refuses_is_refused(name: str) -> None:
    """Else its owner finds out at the next start."""
    assert run_main("console", "key", name).returncode == 2
