"""Policy files: read or refused, never half understood."""

import os
from pathlib import Path

import orjson
import pytest

from model import Bundle, PolicyError, load_policy
from schemas import DEFAULT_POLICY

TOML = """
name = "strict"
version = "1.2"
banned = ["D", "J", "M", "H"]
max_banned_to_safe_rate = 0.01
max_safe_to_banned_rate = 0.05
"""


def test_no_file_means_the_default_policy(bundle: Bundle) -> None:
    """The first run needs no file."""
    assert load_policy(None) is DEFAULT_POLICY
    assert load_policy(None, bundle) == DEFAULT_POLICY


def test_a_policy_is_read_from_toml_and_from_json(tmp_path: Path) -> None:
    """People write the one, tools the other."""
    (tmp_path / "p.toml").write_text(TOML)
    policy = load_policy(tmp_path / "p.toml")
    assert (policy.name, sorted(policy.banned)) == ("strict", ["D", "H", "J", "M"])
    (tmp_path / "p.json").write_bytes(orjson.dumps(policy.model_dump(mode="json")))
    assert load_policy(tmp_path / "p.json") == policy


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not toml at all",
        b"\xff\xfe",
        TOML.replace('"D", ', '"Z", ').encode(),
        TOML.replace("0.01", "1.5").encode(),
        TOML.replace("0.01", "nan").encode(),
        TOML.replace("version", "verison").encode(),
        (TOML + "surprise = 1\n").encode(),
    ],
)
def test_a_file_that_is_no_policy_is_refused_with_its_name_and_the_remedy(
    bundle: Bundle, tmp_path: Path, content: bytes
) -> None:
    """A policy that is silently not applied is an ad in the wrong chat."""
    path = tmp_path / "policy.toml"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match=r"(?s)policy\.toml: not a usable policy.*expected name, version") as caught:
        load_policy(path, bundle)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A typo in the path must not fall back to the default policy."""
    with pytest.raises(PolicyError, match="nowhere"):
        load_policy(tmp_path / "nowhere.toml")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (TOML.replace("version", "verison"), "policy.toml:3: verison: no such field; did you mean version?"),
        (TOML.replace("version", "verison"), "policy.toml: version: not set"),
        (TOML.replace("0.01", "1.5"), "policy.toml:5: max_banned_to_safe_rate: Input should be less than 1"),
        (TOML.replace('["D"', '["hunter2 canary"'), "policy.toml:4: banned.0: String should match pattern"),
        (TOML + "surprise = 1\n", "policy.toml:7: surprise: no such field"),
        ("\n\nhunter2-canary", "policy.toml:3: not a readable TOML file"),
        (
            TOML + "valid_from = 2026-07-01\n",
            "policy.toml:7: valid_from: no offset from UTC; expected one, as in 2026-",
        ),
        (TOML + "valid_from = 2026-07-01T00:00:00\n", "policy.toml:7: valid_from: no offset from UTC"),
        (TOML + "valid_until = 9999-12-31T23:59:59-12:00\n", "valid_until: Value error, lies outside the years 1 to"),
        (
            TOML + "valid_from = 0001-01-01T00:00:00+12:00\n",
            "valid_from: Value error, lies outside the years 1 to 9999",
        ),
        (TOML + 'requested_by = "a\\nb"\n', "requested_by: Value error, holds a control character"),
        (TOML.replace('"strict"', '"\\u001b[2J"'), "name: Value error, holds a control character"),
    ],
)
def test_a_fault_is_told_by_line_and_name_as_in_settings(tmp_path: Path, content: str, fault: str) -> None:
    """And no value is quoted, since the path may name a file of secrets."""
    path = tmp_path / "policy.toml"
    path.write_text(content)
    with pytest.raises(PolicyError) as caught:
        load_policy(path)
    assert fault in str(caught.value)
    assert "canary" not in f"{caught.value}{caught.value.__cause__}"


@pytest.mark.parametrize("content", [b"[1]", b'{"name": "hunter2-canary"', b"hunter2-canary", b'"hunter2-canary"'])
def test_json_that_is_no_policy_is_refused_and_not_quoted(tmp_path: Path, content: bytes) -> None:
    """As TOML is."""
    path = tmp_path / "policy.json"
    path.write_bytes(content)
    with pytest.raises(PolicyError, match="not a usable policy") as caught:
        load_policy(path)
    assert "canary" not in f"{caught.value}{caught.value.__cause__}"


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    """Some editors write one."""
    (tmp_path / "p.toml").write_text(TOML, encoding="utf-8-sig")
    policy = load_policy(tmp_path / "p.toml")
    (tmp_path / "p.json").write_text(policy.model_dump_json(), encoding="utf-8-sig")
    assert load_policy(tmp_path / "p.json") == policy


def test_a_policy_in_json_that_says_a_thing_twice_is_refused(tmp_path: Path) -> None:
    """Readers disagree on which of the two counts, and one of them is an advertiser's choice."""
    path = tmp_path / "policy.json"
    path.write_text('{"name": "x", "version": "1", "banned": ["D"], "banned": []}')
    with pytest.raises(PolicyError, match="twice"):
        load_policy(path)


def test_a_policy_that_is_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    """The reload looks at this path; a named pipe has no end."""
    path = tmp_path / "policy.toml"
    os.mkfifo(path)
    with pytest.raises(PolicyError, match="no regular file"):
        load_policy(path)
