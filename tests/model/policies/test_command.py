"""`python -m model thresholds`: a table for people, the topic's records for programs."""

from pathlib import Path

import pytest

from model import Bundle
from model.policies.rules import policies_over
from model.policies.table import policy_rows
from schemas import CHAT_13, DEFAULT_POLICY
from schemas.policy_table import read_policy_rows
from tests.command_line import Ended, run_main
from tests.tiny_bundle import tiny_bundle

BRAND = """
name = "family-brand"
version = "3"
banned = ["D", "I", "J", "M"]
max_banned_to_safe_rate = 0.02
max_safe_to_banned_rate = 0.05
languages = ["en", "de"]
requested_by = "advertiser-7"
hold_block_s = 60
max_message_characters = 500
unevaluated = "block"
uncalibrated_languages = "as_is"
[enforcement]
I = "should"
J = "may"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one policy."""
    (tmp_path / "brand.toml").write_text(BRAND)
    return tmp_path


def run(*arguments: str | Path) -> Ended:
    """Run the command."""
    return run_main("model", "thresholds", *arguments)


def test_json_lines_are_the_records_that_a_worker_publishes(bundle: Bundle, bundle_path: Path, folder: Path) -> None:
    """The default policy first, then the folder's; floor codes of the operator's beside the taxonomy's."""
    done = run("--bundle", bundle_path, "--policies", folder, "--floor", "E, L", "--json")
    assert done.returncode == 0, done.stderr
    found = list(read_policy_rows(done.stdout))
    assert [row.policy.name for row in found] == ["default", "family-brand"]
    first, brand = found
    expected = policies_over(bundle, [DEFAULT_POLICY], floor=frozenset("EL"))
    assert [first] == policy_rows(expected, bundle.ref, bundle.taxonomy)
    assert brand.floor == first.floor
    assert brand.floor is not None
    assert brand.floor.codes == ("E", "L", "M")
    assert (brand.must, brand.should, brand.may) == (("D", "M"), ("I",), ("J",))


def test_a_table_shows_thresholds_and_what_else_a_policy_says(bundle_path: Path, folder: Path) -> None:
    """A person compares two policies at a glance."""
    done = run("--bundle", bundle_path, "--policies", folder)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    assert "0.345594" in text
    assert "0.729533" in text
    for said in ("for advertiser-7", "languages de en", "longest message 500", "holds a block for 60 s"):
        assert said in text


def test_what_a_bundle_without_calibration_allows_is_said(tmp_path: Path) -> None:
    """`never`, and not a number that looks like a threshold."""
    done = run("--bundle", tiny_bundle(tmp_path / "bundle", CHAT_13, n_chats_each=0))
    assert b"not calibrated: no score is allowed or blocked" in done.stdout
    assert done.stdout.count(b"never") >= 4


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("nonsense = 1", b"not a usable policy"),
        (BRAND.replace("family-brand", "default"), b"expected each name once"),
        (BRAND.replace('"D", "I", "J", "M"', '"X", "I", "J"'), b"'X'"),
    ],
)
def test_a_refused_file_is_named_and_ends_the_command(
    bundle_path: Path, folder: Path, file: str, expected: bytes
) -> None:
    """A table that lacks a policy would be read as one that is complete."""
    (folder / "other.toml").write_text(file)
    done = run("--bundle", bundle_path, "--policies", folder, "--json")
    assert (done.returncode, done.stdout) == (3, b"")
    assert b"other.toml" in done.stderr
    assert expected in done.stderr


def test_an_unknown_code_of_the_floor_is_refused(bundle_path: Path) -> None:
    """A typo must not leave a floor out."""
    done = run("--bundle", bundle_path, "--floor", "Q")
    assert done.returncode == 3
    assert b"'Q'" in done.stderr
