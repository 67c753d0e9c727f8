"""Flags over environment over file; typos and unsafe ports are refused at start."""

from pathlib import Path

import pytest

from console.errors import SettingsError
from console.settings.http import HttpSettings
from console.settings.source import read_settings, setting_names


def test_flags_win_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    """The nearest to the command counts, as everywhere."""
    config = tmp_path / "console.toml"
    config.write_text("api_only = true\n[http]\nport = 1\nmax_body_bytes = 2000\n[queue]\ndeadline_s = 3\n")
    environment = {"CONSOLE_HTTP__PORT": "2", "CONSOLE_HTTP__MAX_BODY_BYTES": "3000", "HOME": "/"}
    settings = read_settings(environment, config, {"http.port": 3, "http.host": None, "api_only": None})
    found = (settings.http.port, settings.http.max_body_bytes, settings.queue.deadline_s, settings.api_only)
    assert found == (3, 3_000, 3.0, True)


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"CONSOLE_HTTP__PROT": "1"}, "did you mean CONSOLE_HTTP__PORT"),
        ({"CONSOLE_HTTP__HOST": "127.0.0.1\r"}, "CONSOLE_HTTP__HOST: holds a control character"),
        ({"CONSOLE_MODEL__PATH": " "}, "CONSOLE_MODEL__PATH: begins or ends with a blank"),
        ({"CONSOLE_MODEL__TIMEOUT_S": "inf"}, "CONSOLE_MODEL__TIMEOUT_S"),
        ({"CONSOLE_MODEL__N_THREADS": "3000000000"}, "CONSOLE_MODEL__N_THREADS"),
        ({"CONSOLE_HTTP__STOP_WITHIN_S": "1e300"}, "CONSOLE_HTTP__STOP_WITHIN_S"),
        ({"CONSOLE_HTTP__PORT": "x"}, "CONSOLE_HTTP__PORT"),
        ({"CONSOLE_QUEUE__MAX_CONVERSATIONS": "10"}, "CONSOLE_QUEUE__MAX_CONVERSATIONS"),
        ({"CONSOLE_HTTP__HOST": "0.0.0.0"}, "allowed_hosts"),  # noqa: S104
        ({"CONSOLE_HTTP__HOST": "console.example", "CONSOLE_HTTP__KEYS_FILE": "k.toml"}, "allowed_hosts"),
        ({"CONSOLE_HTTP__ALLOWED_ORIGINS": "https://a.example/page"}, "allowed_origins"),
        ({"CONSOLE_HTTP__ALLOWED_ORIGINS": "*"}, "allowed_origins"),
        ({"CONSOLE_HTTP__PUBLIC_URL": "https://a.example/path"}, "CONSOLE_HTTP__PUBLIC_URL"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(environment: dict[str, str], named: str) -> None:
    """A typo, a wrong value, and a port that strangers could ask without a key."""
    with pytest.raises(SettingsError, match=named):
        read_settings(environment, None)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    """`make console` is one command."""
    settings = read_settings({"CONSOLE_HTTP__HOST": host, "CONSOLE_HTTP__ALLOWED_HOSTS": "Box.example, other"}, None)
    assert settings.http.host_names == {"localhost", "127.0.0.1", "[::1]", "box.example", "other"}


def test_beyond_loopback_only_the_named_hosts_are_known() -> None:
    """A pod is reached as localhost by nobody else."""
    environment = {
        "CONSOLE_HTTP__HOST": "::",
        "CONSOLE_HTTP__KEYS_FILE": "keys.toml",
        "CONSOLE_HTTP__ALLOWED_HOSTS": "console.example",
    }
    assert read_settings(environment, None).http.host_names == {"console.example"}


def test_a_file_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    """The path is named."""
    broken = tmp_path / "broken.toml"
    broken.write_text("[http")
    for path in (broken, tmp_path / "missing.toml"):
        with pytest.raises(SettingsError, match=path.name):
            read_settings({}, path)


def test_empty_means_not_set(tmp_path: Path) -> None:
    """An empty path is no folder, in the environment and in the file."""
    unset = read_settings({}, None).model_dump()
    assert read_settings(dict.fromkeys(setting_names(), ""), None).model_dump() == unset
    config = tmp_path / "console.toml"
    config.write_text('[model]\npath = ""\npolicy_path = ""\n[http]\nkeys_file = ""\n')
    assert read_settings({}, config).model_dump() == unset
    config.write_text("[http]\nport = 1\n")
    assert read_settings({"CONSOLE_HTTP__PORT": ""}, config).http.port == 1


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("[http]\nprot = 1\n", "console.toml:2: http.prot: no such setting; did you mean http.port?"),
        ("\n[htpp]\nport = 1\n", "console.toml:2: htpp: no such setting; did you mean [http]?"),
        ("port = 1\n", "console.toml:1: port: no such setting; did you mean http.port?"),
        ("[http]\nport = 99999\n", "console.toml:2)"),
        ("[http\n", "console.toml:1: not a readable TOML file"),
    ],
)
def test_a_fault_in_a_file_is_told_with_its_line(tmp_path: Path, content: str, complaint: str) -> None:
    """As in the worker's settings."""
    config = tmp_path / "console.toml"
    config.write_text(content)
    with pytest.raises(SettingsError) as caught:
        read_settings({}, config)
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("host", "allowed", "public_url", "listening", "address"),
    [
        ("127.0.0.1", "", None, "http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("::1", "", None, "http://[::1]:1", "http://[::1]:1"),
        ("0.0.0.0", "a.example,b.example", None, "http://0.0.0.0:1", "http://a.example:1"),  # noqa: S104
        ("0.0.0.0", "*, a.example", None, "http://0.0.0.0:1", "http://a.example:1"),  # noqa: S104
        ("0.0.0.0", "*", None, "http://0.0.0.0:1", "http://127.0.0.1:1"),  # noqa: S104
        ("::", "*", None, "http://[::]:1", "http://127.0.0.1:1"),
        ("10.0.0.7", "*", None, "http://10.0.0.7:1", "http://10.0.0.7:1"),
        ("10.0.0.7", "a.example", None, "http://10.0.0.7:1", "http://a.example:1"),
        ("0.0.0.0", "a.example", "https://b.example", "http://0.0.0.0:1", "https://b.example"),  # noqa: S104
    ],
)
def test_the_address_that_is_told_is_one_that_is_allowed(
    host: str, allowed: str, public_url: str | None, listening: str, address: str
) -> None:
    """The port refuses requests to a name that is none of its own, 0.0.0.0 first."""
    http = HttpSettings(host=host, allowed_hosts=allowed, public_url=public_url, keys_file=Path("keys.toml"))
    assert http.address_to_ask(listening) == address


@pytest.mark.parametrize(
    ("who", "is_enough"),
    [
        ({}, False),
        ({"CONSOLE_HTTP__KEYS_FILE": "k.toml"}, True),
        ({"CONSOLE_HTTP__USERS_FILE": "u.toml"}, True),
        (
            {
                "CONSOLE_PROXY__SECRET_FILE": "s",
                "CONSOLE_PROXY__ADDRESSES": "10.0.0.0/8",
                "CONSOLE_PROXY__ROLES": "a=viewer",
            },
            True,
        ),
        ({"CONSOLE_HTTP__USERS_FILE": "u.toml", "CONSOLE_API_ONLY": "true"}, False),
    ],
)
def test_beyond_loopback_a_start_needs_to_know_who_asks(who: dict[str, str], is_enough: bool) -> None:
    """Keys, users or a proxy; without pages keys alone."""
    beyond = {"CONSOLE_HTTP__HOST": "0.0.0.0", "CONSOLE_HTTP__ALLOWED_HOSTS": "a.example"}  # noqa: S104
    if is_enough:
        read_settings(beyond | who, None)
        return
    with pytest.raises(SettingsError, match="keys_file"):
        read_settings(beyond | who, None)
