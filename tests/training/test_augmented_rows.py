"""What must not move the answer: training rows with unrelated text beside the request, and with an identity."""

import random

import pytest

from model.windowing import Windowing, render
from schemas import Role, Turn
from training_pipeline.augment.identities import IDENTITIES, with_identity
from training_pipeline.augment.mixtures import mixed, paste_of

pytestmark = pytest.mark.training

_PASTES = ["The council met on Tuesday to discuss the new bicycle lanes in the old town. " * 20, "word " * 400]


def chance(seed: int) -> random.Random:
    """Return a repeatable source of choices."""
    return random.Random(seed)  # noqa: S311  chooses texts, no secret


@pytest.mark.parametrize("n_characters", [20, 150, 199, 201, 390, 401, 560])
def test_a_request_stays_whole_in_the_window_or_is_not_mixed(n_characters: int) -> None:
    """A banned label on a row that shows no banned text would teach false alarms."""
    request = ("q" * 9 + " ") * 100
    request = request[:n_characters].strip()
    for seed in range(50):
        turns = mixed([Turn(Role.USER, request)], _PASTES, Windowing(), chance(seed))
        if turns is not None:
            assert request in render(turns, Windowing())
            assert len(turns[0].text) > len(request)
    if n_characters > 600:
        assert turns is None


def test_a_long_request_and_a_chat_without_a_user_are_left_alone() -> None:
    """Nothing can be put beside a request that fills its window."""
    assert mixed([Turn(Role.USER, "q" * 700)], _PASTES, Windowing(), chance(1)) is None
    assert mixed([Turn(Role.ASSISTANT, "hello")], _PASTES, Windowing(), chance(1)) is None
    assert with_identity([Turn(Role.ASSISTANT, "hello")], chance(1)) is None


def test_only_the_last_user_message_changes() -> None:
    """What was said before stays."""
    turns = [
        Turn(Role.USER, "one"),
        Turn(Role.ASSISTANT, "two"),
        Turn(Role.USER, "three"),
        Turn(Role.ASSISTANT, "four"),
    ]
    for changed in (mixed(turns, _PASTES, Windowing(), chance(3)), with_identity(turns, chance(3))):
        assert changed is not None
        assert [turn for i, turn in enumerate(changed) if i != 2] == [turn for i, turn in enumerate(turns) if i != 2]
        assert "three" in changed[2].text
        assert changed[2].role is Role.USER


def test_an_identity_is_named_with_its_article_and_the_request_kept() -> None:
    """The row must read as a person would write it."""
    seen = set()
    for seed in range(400):
        changed = with_identity([Turn(Role.USER, "what is tax?")], chance(seed))
        assert changed is not None
        assert "what is tax?" in changed[0].text
        seen |= {identity for identity in IDENTITIES if f" {identity}" in changed[0].text}
    assert len(seen) > len(IDENTITIES) / 2


def test_a_short_message_is_no_paste() -> None:
    """A word or two would not be something that stands beside a request."""
    assert paste_of([Turn(Role.USER, "hi")]) == ""
    assert paste_of([Turn(Role.USER, "x" * 50)]) == "x" * 50
