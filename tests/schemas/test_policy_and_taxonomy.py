"""Taxonomies and the policies over them."""

import subprocess
import sys
from typing import Any

import pytest
from pydantic import ValidationError

from schemas import CHAT_13, DEFAULT_POLICY, Policy, Taxonomy, TaxonomyError, taxonomy_of

BASE: dict[str, Any] = {
    "name": "p",
    "version": "1",
    "banned": ["D"],
    "max_banned_to_safe_rate": 0.05,
    "max_safe_to_banned_rate": 0.02,
}


def test_the_taxonomy_is_complete() -> None:
    """Codes and names agree; the order is that of the shipped model's output columns."""
    assert tuple("ABCDEFGHIJKLM") == CHAT_13.codes
    assert tuple(CHAT_13.names) == CHAT_13.codes
    assert len(set(CHAT_13.names.values())) == len(CHAT_13.codes)
    assert all(name.isidentifier() and name.islower() for name in CHAT_13.names.values())


def test_the_default_policy_bans_what_its_taxonomy_bans() -> None:
    """Role play, relationships and obscene or illegal: the three an ad must never meet."""
    assert {"D", "J", "M"} == CHAT_13.banned == DEFAULT_POLICY.banned
    assert Policy.default_for(CHAT_13) == DEFAULT_POLICY
    toxicity = Policy.default_for(taxonomy_of("toxicity"))
    assert (toxicity.taxonomy, toxicity.banned) == ("toxicity", {"toxic", "jailbreak"})
    assert Policy.default_for(taxonomy_of("community")).banned == frozenset()


def test_a_policy_from_before_taxonomies_is_over_chat_13() -> None:
    """Files that people have stay what they were."""
    assert Policy(**BASE).taxonomy == "chat-13"
    assert Policy.model_validate_json(DEFAULT_POLICY.model_dump_json(exclude={"taxonomy"})) == DEFAULT_POLICY


def test_nothing_is_banned_only_where_that_is_said() -> None:
    """A forgotten line must not open everything."""
    assert Policy(**{**BASE, "banned": []}).banned == frozenset()
    with pytest.raises(ValidationError, match="banned"):
        Policy(**{name: value for name, value in BASE.items() if name != "banned"})


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        pytest.param({"taxonomy": "toxicity", "banned": ["toxic"]}, "'toxicity'; .* is 'chat-13'", id="another"),
        pytest.param({"banned": ["N"]}, "policy 'p' names 'N'; taxonomy chat-13 1 has A, B", id="unknown"),
        pytest.param({"banned": list(CHAT_13.codes)}, "bans all 13 categories of taxonomy chat-13 1", id="all"),
    ],
)
def test_a_policy_is_held_against_its_taxonomy(fields: dict[str, Any], complaint: str) -> None:
    """Both names stand in the text, so that a mix-up is seen at once."""
    with pytest.raises(TaxonomyError, match=complaint):
        Policy(**{**BASE, **fields}).require(CHAT_13)


def test_a_taxonomy_that_bans_everything_is_refused() -> None:
    """No policy could be made for it."""
    categories = [{"code": code, "name": code, "banned": True} for code in ("a", "b")]
    with pytest.raises(ValidationError, match="every category is banned"):
        Taxonomy.model_validate({"name": "t", "version": "1", "categories": categories})


@pytest.mark.parametrize(
    "fields",
    [
        {"banned": ["not a code"]},
        {"banned": [f"c{i}" for i in range(256)]},
        {"taxonomy": "not a name"},
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
