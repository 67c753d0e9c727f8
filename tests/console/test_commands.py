"""`check-config`, `key` and `openapi` of the command line."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from console.port.keys import hash_of, read_keys
from console.port.roles import Role
from console.port.users import PasswordHash, read_users
from console.server import _bound
from tests.command_line import run_main


@pytest.fixture(autouse=True)
def _logs_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loggers keep the stream they first wrote to, and that of a command in this process is soon closed."""
    monkeypatch.setattr("console.logs.configure", lambda _level: None)


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


def _pipeline(tmp_path: Path) -> dict[str, str]:
    secret = tmp_path / "secret"
    secret.write_text("x" * 32)
    (tmp_path / "users.toml").write_text("users = []")
    (tmp_path / "url").write_text("postgresql+psycopg://console:hush-hush@db.example/console\n")
    return {
        "CONSOLE_HTTP__USERS_FILE": str(tmp_path / "users.toml"),
        "CONSOLE_PROXY__SECRET_FILE": str(secret),
        "CONSOLE_PROXY__ADDRESSES": "10.0.0.0/8",
        "CONSOLE_PROXY__ROLES": "leads=admin",
        "CONSOLE_PIPELINE__IS_ON": "true",
        "CONSOLE_STORE__URL_FILE": str(tmp_path / "url"),
        "CONSOLE_APPEALS__WEBHOOK_HOSTS": "hooks.example",
        "CONSOLE_APPEALS__SIGNING_KEY_FILE": str(secret),
        "MODERATION_KAFKA__BOOTSTRAP_SERVERS": "kafka.example:9092",
        "MODERATION_KAFKA__REVIEWS_TOPIC": "verdict-reviews",
    }


def test_check_config_says_who_may_ask_and_what_is_followed(tmp_path: Path) -> None:
    """With what is left out for want of a topic, and without a password."""
    done = run_main("console", "check-config", environment=_pipeline(tmp_path))
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode()
    for line in (
        "users: 0",
        "proxy: from 10.0.0.0/8; leads is admin",
        "pipeline: kafka.example:9092, verdicts in verdicts",
        "database: PostgreSQL on db.example, database console",
        "appeals: answers go to hooks.example",
    ):
        assert line in said
    assert "MODERATION_KAFKA__OVERRIDES_TOPIC" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"CONSOLE_HTTP__USERS_FILE": "none.toml"}, "none.toml"),
        ({"CONSOLE_HTTP__SESSION_SECRET_FILE": "none"}, "none"),
        ({"CONSOLE_PROXY__SECRET_FILE": "none"}, "none"),
        ({"CONSOLE_STORE__URL_FILE": "none"}, "CONSOLE_STORE: url_file"),
        ({"CONSOLE_STORE__URL_FILE": "", "CONSOLE_STORE__URL": "mysql://a/b"}, "store.url names mysql"),
        ({"CONSOLE_STORE__URL_FILE": "", "CONSOLE_STORE__URL": "sqlite://"}, "names no file"),
        ({"CONSOLE_STORE__URL_FILE": "", "CONSOLE_STORE__URL": "sqlite:////none/console.db"}, "folder is not there"),
        ({"CONSOLE_STORE__URL_FILE": "", "CONSOLE_STORE__URL": "hush-hush"}, "store.url is not understood"),
        ({"CONSOLE_REVIEW__REASON_NEEDED": "block, everything"}, "review.reason_needed names everything"),
        ({"CONSOLE_REVIEW__REASONS": "No Code"}, "review.reasons names what is no code"),
        ({"CONSOLE_REVIEW__REASONS": ","}, "review.reasons is empty"),
        ({"CONSOLE_REVIEW__GOLD_FILE": "none.jsonl"}, "review.gold_file"),
        ({"CONSOLE_REVIEW__GOLD_FILE": __file__}, "expected"),
        ({"CONSOLE_APPEALS__SIGNING_KEY_FILE": "none"}, "CONSOLE_APPEALS: signing_key_file"),
        ({"CONSOLE_APPEALS__SIGNING_KEY_FILE": "", "CONSOLE_APPEALS__SIGNING_KEY": "hush"}, "has 4 characters"),
        (
            {"CONSOLE_APPEALS__WEBHOOK_HOSTS": "https://hooks.example/x"},
            "found https://hooks.example/x; expected",
        ),
        ({"CONSOLE_APPEALS__WEBHOOK_HOSTS": "*.hooks.example"}, "found *.hooks.example; expected names"),
        ({"MODERATION_KAFKA__BOOTSTRAP_SERVERS": ""}, "the pipeline's: MODERATION_KAFKA__BOOTSTRAP_SERVERS"),
        ({"MODERATION_KAFKA__BOOTSTRAP_SERVERS": ""}, "in the file of CONSOLE_PIPELINE__WORKER_CONFIG"),
    ],
)
def test_check_config_finds_what_would_end_the_start(tmp_path: Path, changed: dict[str, str], named: str) -> None:
    """Each ends with 2 and names the setting or the file; no password is quoted."""
    done = run_main("console", "check-config", environment=_pipeline(tmp_path) | changed)
    assert done.returncode == 2
    assert named in done.stderr.decode()
    assert "hush" not in done.stderr.decode()


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


def test_a_users_entry_is_what_the_file_takes_and_the_password_is_not_in_it(tmp_path: Path) -> None:
    """Read from standard input, as a script gives it; at a terminal it is asked for twice."""
    command = ("console", "user", "anna@example.org", "--role", "reviewer", "--queue", "default", "--queue", 'a "b"')
    done = run_main(*command, stdin=b"correct horse battery\n")
    assert done.returncode == 0
    path = tmp_path / "users.toml"
    path.write_bytes(done.stdout)
    (entry,) = read_users(path).users
    assert (entry.name, entry.role, entry.queues) == ("anna@example.org", Role.REVIEWER, ("default", 'a "b"'))
    assert PasswordHash.parse(entry.password).is_of("correct horse battery")
    assert b"horse" not in done.stdout + done.stderr


PROMPT = re.compile(rb"(?:password|confirmation): ", re.IGNORECASE)


def test_at_a_terminal_the_password_is_asked_for_twice_and_not_shown() -> None:
    """A typing error would lock its owner out."""
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "console", "user", "anna", "--role", "viewer"]
    with subprocess.Popen(
        command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, start_new_session=True
    ) as running:
        os.close(theirs)
        shown = b""
        for password in (b"correct horse battery", b"correct house battery", *(b"correct horse battery",) * 2):
            n_asked = len(PROMPT.findall(shown))
            # What is typed before the prompt is thrown away. "Error: " is none.
            while len(PROMPT.findall(shown)) == n_asked:
                shown += os.read(ours, 1_000)
            os.write(ours, password + b"\n")
        assert running.stdout is not None
        written = running.stdout.read()
        os.close(ours)
    assert running.returncode == 0
    assert written.startswith(b'[[users]]\nname = "anna"\n')
    assert b"horse" not in shown + written


@pytest.mark.parametrize(
    ("arguments", "password", "named"),
    [
        (("anna", "--role", "boss"), b"correct horse battery", b"role"),
        (("a b", "--role", "viewer"), b"correct horse battery", b"NAME"),
        (("anna", "--role", "viewer"), b"short", b"at least 12"),
        (("anna",), b"correct horse battery", b"--role"),
    ],
)
def test_a_user_that_the_file_would_refuse_is_refused(
    arguments: tuple[str, ...], password: bytes, named: bytes
) -> None:
    """And a password that is guessed in a day."""
    done = run_main("console", "user", *arguments, stdin=password)
    assert done.returncode == 2
    assert named in done.stderr


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a\nb"])
def test_a_key_with_a_name_that_the_file_refuses_is_refused(name: str) -> None:
    """Else its owner finds out at the next start."""
    assert run_main("console", "key", name).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "code", "named"),
    [
        (("--host", "0.0.0.0"), 2, "allowed_hosts"),  # noqa: S104
        (("--port", "65536"), 2, "CONSOLE_HTTP__PORT"),
        (("--keys-file", "missing.toml"), 2, "missing.toml"),
        (("--port", "0", "--bundle", "missing"), 3, "missing"),
        (("--port", "0", "--policy", "missing.toml"), 3, "missing.toml"),
        (("--config", "missing.toml"), 2, "missing.toml"),
        (("--no-such-flag",), 2, "no-such-flag"),
    ],
)
def test_a_start_that_cannot_be_says_why(arguments: tuple[str, ...], code: int, named: str) -> None:
    """Before anything is listened on."""
    done = run_main("console", "serve", *arguments)
    assert (done.returncode, named in done.stderr.decode()) == (code, True), done.stderr.decode()


def test_a_port_that_is_taken_is_named() -> None:
    """Another console runs already, most often."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_main("console", "serve", "--port", str(taken.getsockname()[1]))
    assert done.returncode == 2
    assert "cannot be listened on" in done.stderr.decode()


def test_the_port_names_its_protocol() -> None:
    """Only then does asyncio turn Nagle's algorithm off; with it a lone client waited 54 ms for what took 1."""
    with _bound("127.0.0.1", 0) as bound:
        assert bound.proto == socket.IPPROTO_TCP
