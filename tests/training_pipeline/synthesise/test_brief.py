"""A brief is refused where it cannot be written, and the error says what to change."""

from pathlib import Path
from typing import Any

import pytest

from schemas import Role
from schemas.taxonomy import shipped_taxonomy
from tests.training_pipeline.synthesise.conftest import FIELDS
from training_pipeline.data.errors import DataError
from training_pipeline.synthesise.brief import Brief, read_brief
from training_pipeline.synthesise.endpoints import chosen_endpoints

COMMUNITY = shipped_taxonomy("community")
BRIEFS = Path(__file__).parents[3] / "data" / "briefs"
GOOD = """
audience = "people"
setting = "a channel"
personas = ["a beginner"]
topics = ["sound"]
tones = ["terse"]
lengths = [{ name = "one", messages = [1, 1], words = [2, 20] }]
"""


def refusal(tmp_path: Path, text: str) -> str:
    """Return the error of a brief for the community taxonomy."""
    path = tmp_path / "brief.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DataError) as caught:
        read_brief(path, COMMUNITY)
    return str(caught.value)


@pytest.mark.parametrize("name", ["community", "toxicity"])
def test_the_briefs_that_ship_are_briefs_of_their_taxonomies(name: str) -> None:
    """They are what a newcomer copies."""
    brief = read_brief(BRIEFS / f"{name}.toml", shipped_taxonomy(name))
    assert brief.writer is not None
    assert set(brief.categories) == set(shipped_taxonomy(name).codes)


def test_without_speakers_there_are_user_and_assistant(tmp_path: Path) -> None:
    """Most classifiers judge chats with an assistant."""
    path = tmp_path / "brief.toml"
    path.write_text(GOOD, encoding="utf-8")
    assert [(s.name, s.role) for s in read_brief(path, COMMUNITY).speakers] == [
        ("user", Role.USER),
        ("assistant", Role.ASSISTANT),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("audience = ", "not TOML"),
        ("", "audience: missing; expected a sentence on who talks"),
        (GOOD.replace("personas", "personnas"), "personnas: no such field; did you mean personas?"),
        (GOOD.replace('tones = ["terse"]', "tones = []"), "tones: Tuple should have at least 1 item"),
        (GOOD.replace('["sound"]', '["sound", "Sound"]'), "topics: 'Sound' stands there twice"),
        (GOOD.replace("[1, 1]", "[3, 1]"), "lengths.1.messages: found [3, 1]; expected [fewest, most]"),
        (GOOD.replace("[1, 1]", "[1, 400]"), "found 400 messages; expected at most 40"),
        (GOOD + '[categories.questoin]\ninstructions = "x"\n', "categories.questoin: taxonomy community 1 has no such"),
        (GOOD + '[categories.questoin]\ninstructions = "x"\n', "did you mean question?"),
        (GOOD + '[[lengths_]]\nname = "x"\n', "did you mean lengths?"),
        (GOOD.replace("{ name", "{ labelled = 1, name"), "labelled: no such field; it belongs to the whole file"),
        (
            GOOD + 'speakers = [{ name = "a", role = "tool" }]\n',
            "role tool is no speaker's; expected user or assistant",
        ),
        (GOOD + 'speakers = [{ name = "a", role = "assistant" }]\n', "none has the role user"),
        (GOOD + 'speakers = [{ name = "a: b" }]\n', "speakers.1.name"),
        (GOOD + "speakers_per_chat = [1, 3]\n", "found [1, 3] of 2 speakers"),
        (GOOD + '[writer]\nmodel = "m"\n', "writer.base_url: missing"),
    ],
)
def test_a_bad_brief_is_refused_with_field_and_remedy(tmp_path: Path, text: str, said: str) -> None:
    """A brief is written by hand."""
    error = refusal(tmp_path, text)
    assert str(tmp_path / "brief.toml") in error
    assert said in error


def test_a_brief_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Before anything is asked."""
    with pytest.raises(DataError, match="No such file"):
        read_brief(tmp_path / "none.toml", COMMUNITY)


def brief(**changes: Any) -> Brief:
    """Return a brief with these fields."""
    return Brief.model_validate(FIELDS | changes)


WRITER = {"base_url": "http://w/v1", "model": "w", "temperature": 0.7, "usd_per_million_input_tokens": 1.0}
WRITER |= {"usd_per_million_output_tokens": 2.0}


def test_the_writer_judges_where_no_judge_is_named_with_a_labellers_settings() -> None:
    """A label asked for at a writer's temperature would be a lottery."""
    writer, judge = chosen_endpoints(brief(writer=WRITER), None, writer=None, judge=None)
    assert (writer.temperature, writer.max_answer_tokens) == (0.7, 2_000)
    assert (judge.base_url, judge.temperature, judge.max_answer_tokens) == ("http://w/v1", 0.0, 60)
    assert judge.cost_usd(10**6, 0) == 1.0
    unset = {key: value for key, value in WRITER.items() if key != "temperature"} | {"temperature": "unset"}
    _, judge = chosen_endpoints(brief(writer=unset), None, writer=None, judge=None)
    assert judge.temperature is None


def test_annotators_stand_in_place_of_the_briefs_endpoints(tmp_path: Path) -> None:
    """One file of endpoints serves `label` and this stage."""
    path = tmp_path / "annotators.toml"
    path.write_text(
        '[[annotator]]\nname = "one"\nbase_url = "http://one/v1"\nmodel = "m"\n'
        '[[annotator]]\nname = "two"\nbase_url = "http://two/v1"\nmodel = "m"\nmax_answer_tokens = 90\n',
        encoding="utf-8",
    )
    writer, judge = chosen_endpoints(brief(writer=WRITER), path, writer=None, judge="two")
    assert (writer.name, writer.temperature, writer.max_answer_tokens) == ("one", 1.0, 2_000)
    assert (judge.name, judge.max_answer_tokens) == ("two", 90)
    with pytest.raises(DataError, match="no annotator three; expected some of one, two"):
        chosen_endpoints(brief(), path, writer="three", judge=None)


def test_nobody_to_write_is_refused() -> None:
    """The remedy names both places where an endpoint can stand."""
    with pytest.raises(DataError, match=r"no \[writer\], and --annotators is not given"):
        chosen_endpoints(brief(), None, writer=None, judge=None)
    with pytest.raises(DataError, match="without --annotators"):
        chosen_endpoints(brief(writer=WRITER), None, writer="one", judge=None)
