"""A policy as TOML: what is written is what is read."""

from pathlib import Path

import pytest

from model import load_policy
from model.bundle.policy_toml import policy_toml
from schemas import CHAT_13, DEFAULT_POLICY, Policy
from tests.policy_cases import twenty_policies


@pytest.mark.parametrize("policy", twenty_policies(), ids=lambda policy: policy.name)
def test_a_policy_is_read_back_as_it_was(tmp_path: Path, policy: Policy) -> None:
    """Names with quotes and umlauts, times with an offset, firmness, languages, lengths."""
    path = tmp_path / "policy.toml"
    path.write_text(policy_toml(policy), encoding="utf-8")
    assert load_policy(path) == policy


def test_what_stands_at_its_default_is_left_out() -> None:
    """A person reads the file, too."""
    assert policy_toml(DEFAULT_POLICY).splitlines()[1:] == [
        'name = "default"',
        'version = "2"',
        f'taxonomy = "{CHAT_13.name}"',
        'banned = ["D", "J", "M"]',
        "max_banned_to_safe_rate = 0.05",
        "max_safe_to_banned_rate = 0.02",
    ]
