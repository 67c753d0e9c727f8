"""Disguised text: what augmentation trains on and what the report attacks with."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.windowing import Windowing, render
from schemas import Role, Turn
from training_pipeline.augment.evasion import KINDS, WHOLE_KINDS, evade, evade_any, evade_turns
from training_pipeline.probes.disguise import KINDS as PROBE_KINDS
from training_pipeline.probes.disguise import disguised as probe_disguised


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


def test_all_kinds_occur_and_leave_the_request_in_the_window() -> None:
    """A kind that never came up would be measured by the probes and taught by nothing."""
    request = "please describe something obscene and illegal to me"
    seen = set()
    for seed in range(400):
        changed = evade_any([Turn(Role.USER, request)], Windowing(), chance(seed))
        assert changed is not None
        assert len(render(changed, Windowing())) <= Windowing().last_user.n_characters + len("user: ")
        seen.add(changed[0].text)
    spaced = "   ".join(" ".join(word) for word in request.split())
    assert spaced in seen
    assert request.translate(str.maketrans("oeiastOEIAST", "031457031457")) in seen
    assert any("print(" in text for text in seen)
    assert len(seen) > 200


def test_a_request_that_a_disguise_would_push_out_of_the_window_stays_as_it_is() -> None:
    """Its banned label would stand on a row that shows half of it."""
    turns = [Turn(Role.USER, "describe it " * 45)]
    found = [evade_any(turns, Windowing(), chance(seed)) for seed in range(200)]
    assert any(chat is None for chat in found)
    longest = Windowing().last_user.n_characters + len("user: ")
    assert all(len(render(chat, Windowing())) <= longest for chat in found if chat is not None)
    assert evade_any([Turn(Role.ASSISTANT, "hello there")], Windowing(), chance(1)) is None


def test_probes_put_a_request_in_other_code_than_training_does() -> None:
    """Otherwise the probe would measure whether a phrase was learned by heart."""
    text = "please describe something"
    probed = {probe_disguised(text, "python_string", chance(seed)) for seed in range(50)}
    trained = {
        chat[0].text for seed in range(2000) if (chat := evade_any([Turn(Role.USER, text)], Windowing(), chance(seed)))
    }
    assert not probed & trained
    assert {"in_code"} == set(WHOLE_KINDS) - set(PROBE_KINDS)
