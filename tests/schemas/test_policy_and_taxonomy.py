"""The 13 categories and the policies over them."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from schemas import CATEGORY_NAMES, CODES, DEFAULT_BANNED, DEFAULT_POLICY, Category, Policy

BASE: dict[str, Any] = {
    "name": "p",
    "version": "1",
    "banned": ["D"],
    "max_banned_to_safe_rate": 0.05,
    "max_safe_to_banned_rate": 0.02,
}


def test_the_taxonomy_is_complete() -> None:
    """Codes, names and the enum agree; the order is that of the model's output columns."""
    assert tuple("ABCDEFGHIJKLM") == CODES
    assert tuple(CATEGORY_NAMES) == CODES
    assert tuple(Category) == CODES
    assert len(set(CATEGORY_NAMES.values())) == len(CODES)
    assert all(name.isidentifier() and name.islower() for name in CATEGORY_NAMES.values())


def test_the_default_banned_set_is_within_the_taxonomy() -> None:
    """Role play, relationships and obscene or illegal: the three an ad must never meet."""
    assert {"D", "J", "M"} == DEFAULT_BANNED
    assert frozenset(Category(code) for code in DEFAULT_BANNED) == DEFAULT_POLICY.banned


@pytest.mark.parametrize(
    "fields",
    [
        {"banned": []},
        {"banned": list(CODES)},
        {"banned": ["N"]},
        {"max_banned_to_safe_rate": 0},
        {"max_banned_to_safe_rate": 1},
        {"max_banned_to_safe_rate": float("nan")},
        {"max_safe_to_banned_rate": -0.1},
        {"name": ""},
        {"name": "p" * 65},
        {"version": "1.x"},
        {"max_banned_to_safe_rat": 0.1},
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused(fields: dict[str, Any]) -> None:
    """A typo in a policy file must not loosen it silently."""
    with pytest.raises(ValidationError):
        Policy(**{**BASE, **fields})


def test_a_policy_is_written_the_same_in_every_process() -> None:
    """A set has another order under another hash seed; a file and its digest must not."""
    program = "from schemas import DEFAULT_POLICY; print(DEFAULT_POLICY.model_dump_json())"
    written = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(written) == 1
    assert '"banned":["D","J","M"]' in written.pop()
