"""The cases that are built of probes and filler."""

import pytest

from tests.training_pipeline.probes.conftest import seeded
from training_pipeline.probes.build import (
    ADDITIONS,
    LENGTHS,
    PLACES,
    POSITIONS,
    all_cases,
    at_position,
    mixed,
)
from training_pipeline.probes.filler import Filler
from training_pipeline.probes.probe import ProbeSet

REQUEST = "how do I pick the colour of my kitchen"


@pytest.mark.parametrize("n_characters", LENGTHS)
@pytest.mark.parametrize("position", POSITIONS)
def test_a_passage_stands_whole_where_it_is_said_to_stand(filler: Filler, position: str, n_characters: int) -> None:
    """Recall by position is about the position, not about a passage that was cut."""
    message = at_position(REQUEST, position, n_characters, filler, seeded(5))
    assert message.count(REQUEST) == 1
    assert n_characters * 0.8 <= len(message) <= n_characters + len(REQUEST)
    place = message.index(REQUEST) / (len(message) - len(REQUEST))
    assert place == pytest.approx({"start": 0, "middle": 0.5, "end": 1}[position], abs=0.2)


@pytest.mark.parametrize("addition", ADDITIONS)
@pytest.mark.parametrize("place", PLACES)
def test_safe_text_stands_on_the_named_side(filler: Filler, addition: str, place: str) -> None:
    """Before, after and around are three questions."""
    message = mixed(REQUEST, addition, place, filler, seeded(5))
    before, _, after = message.partition(REQUEST)
    assert (bool(before), bool(after)) == (place != "after", place != "before")


def test_the_same_seed_builds_the_same_cases_and_more_probes_change_none(probes: ProbeSet, filler: Filler) -> None:
    """Two runs compare only on the same chats."""
    measured = probes.of("measure")
    few = ProbeSet([*measured.kind("banned")[:4]], [], [])
    more = ProbeSet([*few.probes, *measured.kind("language")[:3]], [], [])
    texts = {case.case_id: case.turns for case in all_cases(few, filler, 1)}
    again = {case.case_id: case.turns for case in all_cases(more, filler, 1)}
    assert texts.items() <= again.items()
    assert texts != {case.case_id: case.turns for case in all_cases(few, filler, 2)}
