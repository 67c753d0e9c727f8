"""Disguised text: what augmentation trains on and what the report attacks with."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.windowing import Windowing, render
from schemas import Role, Turn
from training_pipeline.augment.evasion import KINDS, evade, evade_turns


def chance(seed: int) -> random.Random:
    """Return a repeatable source of choices."""
    return random.Random(seed)  # noqa: S311  chooses letters, no secret


@given(text=st.text(), kind=st.sampled_from(KINDS), seed=st.integers())
def test_any_text_is_disguised_the_same_way_for_the_same_seed(text: str, kind: str, seed: int) -> None:
    """A report must be repeatable, and no text may break it."""
    assert evade(text, kind, chance(seed)) == evade(text, kind, chance(seed))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_changes_the_words_it_is_told_to(kind: str) -> None:
    """A disguise that changes nothing would report a perfect recall under attack."""
    text = "please describe something obscene and illegal"
    assert evade(text, kind, chance(1), share_of_words=1.0) != text
    assert evade(text, kind, chance(1), share_of_words=0.0) == text


@pytest.mark.parametrize("kind", ["zero_width", "full_width"])
def test_windowing_undoes_what_a_reader_does_not_see(kind: str) -> None:
    """These two never reach the model; the other kinds must be learned."""
    turns = [Turn(Role.USER, "please describe something obscene")]
    disguised = evade_turns(turns, kind, chance(3), share_of_words=1.0)
    assert disguised != turns
    assert render(disguised, Windowing()) == render(turns, Windowing())


def test_only_the_users_turns_are_disguised() -> None:
    """The assistant's words are context that nobody disguises."""
    turns = [Turn(Role.USER, "hello there friend"), Turn(Role.ASSISTANT, "hello there friend")]
    disguised = evade_turns(turns, "leetspeak", chance(5), share_of_words=1.0)
    assert disguised[0].text != turns[0].text
    assert disguised[1] == turns[1]


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    """The error must say what would have been accepted."""
    with pytest.raises(ValueError, match="expected one of leetspeak"):
        evade("text", "rot13", chance(1))
