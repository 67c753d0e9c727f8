"""The grid: the same seed gives the same cells, and every value has its share."""

from collections import Counter

import pytest

from schemas import Role
from tests.training_pipeline.synthesise.conftest import FIELDS
from training_pipeline.synthesise.brief import Brief
from training_pipeline.synthesise.grid import Grid

BRIEF = Brief.model_validate(FIELDS)


def test_a_cell_depends_on_seed_category_and_number_alone() -> None:
    """A run that goes on must ask for what it would have asked for."""
    one, other = Grid(BRIEF, 7), Grid(BRIEF, 7)
    cells = [one.cell("question", n) for n in range(20)]
    assert [other.cell("question", n) for n in reversed(range(20))][::-1] == cells
    assert [Grid(BRIEF, 8).cell("question", n) for n in range(20)] != cells
    assert [one.cell("answer", n)[2:] for n in range(20)] != [cell[2:] for cell in cells]


@pytest.mark.parametrize("n_cells", [6, 17, 60])
def test_every_value_of_an_axis_comes_as_often_as_any_other(n_cells: int) -> None:
    """Or a small set would be about one topic."""
    cells = [Grid(BRIEF, 1).cell("question", n) for n in range(n_cells)]
    for values in (
        Counter(cell.persona for cell in cells),
        Counter(cell.topic for cell in cells),
        Counter(cell.tone for cell in cells),
        Counter(cell.length.name for cell in cells),
    ):
        assert max(values.values()) - min(values.values()) <= 1


def test_the_axes_are_shuffled_apart() -> None:
    """With lists of equal length, persona and tone would otherwise always come in pairs."""
    cells = [Grid(BRIEF, 1).cell("question", n) for n in range(60)]
    assert len({(cell.persona, cell.topic, cell.tone, cell.length.name) for cell in cells}) >= 20


def test_a_categorys_own_lists_stand_in_place_of_the_general_ones() -> None:
    """Not every topic suits every category."""
    brief = Brief.model_validate(FIELDS | {"categories": {"comment": {"topics": ["weather"], "tones": ["bored"]}}})
    own, other = Grid(brief, 1).cell("comment", 3), Grid(brief, 1).cell("answer", 3)
    assert (own.topic, own.tone) == ("weather", "bored")
    assert (other.topic in FIELDS["topics"], other.tone in FIELDS["tones"]) == (True, True)


@pytest.mark.parametrize("labelled", ["conversation", "last", "last_user"])
def test_speakers_are_drawn_and_a_user_is_always_among_them(labelled: str) -> None:
    """What counts is written by the first, who is a user but where anybody may have the last word."""
    people = [{"name": "ana"}, {"name": "bot", "role": "assistant"}, {"name": "bot2", "role": "assistant"}]
    fields = {"speakers": people, "speakers_per_chat": [1, 2], "labelled": labelled}
    cells = [Grid(Brief.model_validate(FIELDS | fields), 1).cell("question", n) for n in range(60)]
    assert {len(cell.speakers) for cell in cells} == {1, 2}
    assert all(any(speaker.role is Role.USER for speaker in cell.speakers) for cell in cells)
    firsts = {cell.speakers[0].role for cell in cells}
    assert firsts == ({Role.USER, Role.ASSISTANT} if labelled == "last" else {Role.USER})
