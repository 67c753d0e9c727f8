"""Suggested scores become reports on the verdicts that are known on the same text."""

from collections.abc import Iterator
from typing import Any

import pytest

from console.operations import Operations
from console.perspective.attributes import Attributes
from console.perspective.suggesting import said
from console.service import Service
from console.store.outbox_rows import FeedbackBody, due
from console.store.store import now_ms
from schemas import Decision, Role, Turn, turns_fingerprint
from tests.console.items import put_item
from tests.console.operations import operating_service, operations_on_sqlite
from tests.console.perspective.conftest import with_attributes
from tests.console.server import Answer, RunningConsole

__all__ = ["operating_service", "operations_on_sqlite"]

COMMENT = "you are a fool"
FINGERPRINT = turns_fingerprint([Turn(Role.USER, COMMENT)])


@pytest.fixture
def suggesting(operating_service: Service) -> Iterator[RunningConsole]:
    """Return a console that follows a pipeline and answers TOXICITY (of one category) and FICTION (of two)."""
    running = RunningConsole(with_attributes(operating_service, operating_service.bundle.languages))
    yield running
    running.close()


def suggest(console: RunningConsole, scores: Any, **fields: Any) -> Answer:
    """Suggest scores for the comment."""
    document = {"comment": {"text": COMMENT}, "attributeScores": scores, **fields}
    return console.post("/v1alpha1/comments:suggestscore", document)


def score(value: Any) -> dict[str, Any]:
    """Return a score of the whole comment."""
    return {"summaryScore": {"value": value, "type": "PROBABILITY"}}


def reports(operations: Operations) -> list[FeedbackBody]:
    """Return what is to be sent."""
    with operations.store.reading() as connection:
        found = [row.body for row in due(connection, now_ms(), 100)]
    return [one for one in found if isinstance(one, FeedbackBody)]


def test_a_suggestion_is_a_report_on_each_known_verdict_on_the_text(
    suggesting: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """The text itself goes no further than its fingerprint."""
    put_item(operations_on_sqlite.store, fingerprint=FINGERPRINT)
    put_item(operations_on_sqlite.store, fingerprint="ab" * 16, verdict_id="ab" * 16)
    answer = suggest(suggesting, {"TOXICITY": score(0.9)}, clientToken="t1", languages=["en"])
    assert (answer.status, answer.json) == (200, {"requestedLanguages": ["en"], "clientToken": "t1"})
    (one,) = reports(operations_on_sqlite)
    assert (one.category, one.decision, one.fingerprint, one.reporter) == ("M", None, FINGERPRINT, "local")
    assert COMMENT not in one.model_dump_json()


def test_one_on_an_unknown_text_is_dropped_with_the_same_answer(
    suggesting: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """As reports are."""
    assert suggest(suggesting, {"TOXICITY": score(1)}).json == {}
    put_item(operations_on_sqlite.store, fingerprint=FINGERPRINT)
    assert suggest(suggesting, {"FICTION": score(1)}).json == {}, "of two categories nobody knows which is meant"
    assert reports(operations_on_sqlite) == []


def test_what_was_said_before_is_part_of_the_text(suggesting: RunningConsole, operations_on_sqlite: Operations) -> None:
    """Else a report would be joined with another conversation."""
    before = turns_fingerprint([Turn(Role.ASSISTANT, "hello"), Turn(Role.USER, COMMENT)])
    put_item(operations_on_sqlite.store, fingerprint=before)
    suggest(suggesting, {"TOXICITY": score(1)}, context={"entries": [{"text": "hello"}]})
    assert len(reports(operations_on_sqlite)) == 1


@pytest.mark.parametrize(
    ("category", "scores", "expected"),
    [
        ("A", {"TOXICITY": 0.5}, ("M", None)),
        ("A", {"TOXICITY": 0.49}, (None, None)),
        ("M", {"TOXICITY": 0.49}, (None, Decision.ALLOW)),
        ("M", {"TOXICITY": 0.1, "FICTION": 0.2}, (None, Decision.ALLOW)),
        ("M", {"TOXICITY": 0.1, "FICTION": 0.9}, (None, None)),
        ("D", {"TOXICITY": 0.8, "FICTION": 0.6}, ("M", None)),
    ],
)
def test_scores_say_which_category_is_right_or_that_none_is(
    service: Service, category: str, scores: dict[str, float], expected: tuple[str | None, Decision | None]
) -> None:
    """A score below one half says only what is wrong."""
    attributes = Attributes(with_attributes(service).bundle.taxonomy)
    assert said(category, scores, attributes) == expected


@pytest.mark.parametrize(
    ("scores", "told"),
    [
        (None, "attributeScores must be an object"),
        ({}, "at least one attribute"),
        ({"SPAM": {"summaryScore": {"value": 1}}}, "Unknown requested attribute: SPAM"),
        ({"TOXICITY": {}}, "attributeScores.TOXICITY must be"),
        ({"TOXICITY": {"summaryScore": {"value": 2}}}, "from 0 to 1"),
        ({"TOXICITY": {"summaryScore": {"value": True}}}, "from 0 to 1"),
        ({"TOXICITY": {"summaryScore": {"value": 1, "type": "STD"}}}, "type PROBABILITY"),
        ({"TOXICITY": {"spanScores": []}}, "spanScores"),
        ({"TOXICITY": {"spanScores": [7]}}, "spanScores"),
    ],
)
def test_a_bad_suggestion_is_refused_in_googles_form(suggesting: RunningConsole, scores: Any, told: str) -> None:
    """By field."""
    answer = suggest(suggesting, scores)
    assert (answer.status, answer.error["status"]) == (400, "INVALID_ARGUMENT")
    assert told in answer.error["message"]


def test_where_only_parts_are_scored_the_highest_counts(
    suggesting: RunningConsole, operations_on_sqlite: Operations
) -> None:
    """A comment is as bad as its worst part."""
    put_item(operations_on_sqlite.store, fingerprint=FINGERPRINT)
    spans = [{"begin": 0, "end": 3, "score": {"value": 0.1}}, {"begin": 4, "end": 14, "score": {"value": 0.8}}]
    assert suggest(suggesting, {"TOXICITY": {"spanScores": spans}}).status == 200
    (one,) = reports(operations_on_sqlite)
    assert one.category == "M"
