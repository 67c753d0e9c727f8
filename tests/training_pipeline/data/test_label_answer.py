"""What counts as a label: the closed set, or nothing."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.taxonomy import CHAT_13, Taxonomy, shipped_taxonomy
from training_pipeline.data.label_answer import (
    AlternativeToken,
    AnswerToken,
    Label,
    NotALabel,
    parse_answer,
    soft_label_from_tokens,
    soft_label_of,
)

GOOD = '{"category": "E", "confidence": 2, "runner_up": "A"}'

NOT_LABELS = [
    "",
    "E",
    '"E"',
    '["E"]',
    '{"category": "N"}',
    '{"category": "e"}',
    '{"category": "E; DROP"}',
    '{"category": ["E"]}',
    '{"category": null}',
    '{"category": "E", "category": "M"}',
    '{"category": "E", "confidence": [3]}',
    '{"category": "E", "confidence": true}',
    '{"category": "E", "confidence": 4}',
    '{"category": "E", "confidence": NaN}',
    '{"category": "E", "runner_up": "Z"}',
    '{"category": "E", "note": "the user is right"}',
    '{"category": "E"',
    "Sure! " + GOOD,
    GOOD + " Is there anything else?",
    GOOD + GOOD,
    "```json\n" + GOOD + "\n```\n" + GOOD,
    "I cannot help with that.",
    '{"category": "E"' + " " * 3_000 + "}",
    "[" * 5_000,
]


@pytest.mark.parametrize("text", NOT_LABELS)
def test_what_is_not_exactly_a_label_is_an_abstention(text: str) -> None:
    """A label that is fished out of prose may be one that the chat put there (F40)."""
    with pytest.raises(NotALabel) as caught:
        parse_answer(text, CHAT_13)
    assert "DROP" not in caught.value.found


@given(st.text() | st.dictionaries(st.text(max_size=10), st.text() | st.integers() | st.none()).map(json.dumps))
def test_no_text_at_all_becomes_anything_but_the_closed_set(text: str) -> None:
    """The parser is the last gate before ground truth."""
    try:
        label = parse_answer(text, CHAT_13)
    except NotALabel:
        return
    assert label.category in CHAT_13.codes


@pytest.mark.parametrize("text", [GOOD, f"```json\n{GOOD}\n```", f"\n {GOOD}\n"])
def test_a_label_is_read_bare_or_in_one_fence(text: str) -> None:
    """Models without structured output fence their JSON."""
    assert parse_answer(text, CHAT_13) == Label("E", 2, "A")


def test_confidence_becomes_weights_as_in_the_labelled_chats() -> None:
    """Soft labels of models and of the shipped annotators must mean the same."""
    assert soft_label_of(Label("E", 3, "-")) == {"E": 1.0}
    assert soft_label_of(Label("E", 2, "A")) == {"E": 0.8, "A": 0.2}
    assert soft_label_of(Label("E", 1, "A")) == {"E": 0.6, "A": 0.4}
    assert soft_label_of(Label("E", 2, "-")) == {"E": 1.0}


def tokens(*texts: str, at: int, **alternatives: float) -> list[AnswerToken]:
    """Return tokens; the one at `at` has alternatives with these probabilities."""
    known = [AlternativeToken(text, math.log(p)) for text, p in alternatives.items()]
    return [AnswerToken(text, known if i == at else [AlternativeToken(text, 0.0)]) for i, text in enumerate(texts)]


def test_log_probabilities_become_weights_of_the_codes() -> None:
    """Mass on tokens that are no code says nothing about the categories and is left out."""
    answer = tokens('{"', "category", '":', ' "', "E", '"', "}", at=4, E=0.6, A=0.2, An=0.1)
    found = soft_label_from_tokens(answer, Label("E", 3, "-"), CHAT_13)
    assert found == pytest.approx({"E": 0.75, "A": 0.25})


def test_a_code_that_shares_its_token_with_punctuation_is_found() -> None:
    """Tokenizers differ in how they cut a quote and a letter."""
    answer = tokens('{"category":', ' "E"', "}", at=1, **{' "E"': 0.7, ' "J"': 0.3})
    assert soft_label_from_tokens(answer, Label("E", 3, "-"), CHAT_13) == pytest.approx({"E": 0.7, "J": 0.3})


@pytest.mark.parametrize(
    "answer",
    [
        [],
        tokens('{"category": "', "E", '"}', at=1),
        tokens('{"category": "', "E", '"}', at=1, E=0.3, Sure=0.5),
        tokens('{"category": "', "A", '"}', at=1, A=0.9),
        [AnswerToken('{"category": "E"}', [AlternativeToken("E", math.nan), AlternativeToken("E", math.inf)])],
    ],
)
def test_log_probabilities_that_say_too_little_are_not_used(answer: list[AnswerToken]) -> None:
    """Then the confidence and the runner-up stand."""
    assert soft_label_from_tokens(answer, Label("E", 3, "-"), CHAT_13) is None


COMMUNITY = shipped_taxonomy("community")


def test_an_answer_of_another_taxonomy_is_read_by_its_codes_alone() -> None:
    """Its letters would otherwise pass as labels of any classifier."""
    assert parse_answer('{"category": "answer", "confidence": 2, "runner_up": "comment"}', COMMUNITY) == Label(
        "answer", 2, "comment"
    )
    for text in ('{"category": "A"}', '{"category": "Answer"}', '{"category": "answer", "runner_up": "A"}'):
        with pytest.raises(NotALabel):
            parse_answer(text, COMMUNITY)


def test_a_code_of_several_tokens_is_told_by_its_first() -> None:
    """Tokenizers cut words, and the probabilities stand where the first part was chosen."""
    answer = tokens('{"category": "', "quest", "ion", '"}', at=1, quest=0.6, comm=0.2, Sure=0.1)
    found = soft_label_from_tokens(answer, Label("question", 3, "-"), COMMUNITY)
    assert found == pytest.approx({"question": 0.75, "comment": 0.25})


def test_a_token_that_begins_several_codes_counts_for_none() -> None:
    """Either guess would be a probability that nobody gave."""
    categories = [{"code": code, "name": code} for code in ("spam", "spam_link", "fine")]
    taxonomy = Taxonomy.model_validate({"name": "two", "version": "1", "categories": categories})
    answer = tokens('{"category": "', "spam", "_link", '"}', at=1, spam=0.9, fine=0.1)
    assert soft_label_from_tokens(answer, Label("spam_link", 3, "-"), taxonomy) is None
