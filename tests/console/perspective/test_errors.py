"""Errors in Google's form, with Perspective's `errorType`: clients parse them."""

from typing import Any

import pytest

from tests.bad_inputs import bad_inputs
from tests.console.server import RunningConsole

TEXT = {"text": "hello"}
TOXICITY: dict[str, Any] = {"TOXICITY": {}}


@pytest.mark.parametrize(
    ("fields", "kind", "message"),
    [
        ({"comment": None}, "COMMENT_EMPTY", "Comment must be non-empty."),
        ({"comment": {}}, "COMMENT_EMPTY", "Comment must be non-empty."),
        ({"comment": {"text": ""}}, "COMMENT_EMPTY", "Comment must be non-empty."),
        ({"comment": {"text": " \u200b"}}, "COMMENT_EMPTY", "Comment must be non-empty."),
        ({"comment": {"text": "é" * 10_241}}, "COMMENT_TOO_LONG", "Comment text too long."),
        ({"requestedAttributes": None}, "NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes"),
        ({"requestedAttributes": {}}, "NO_REQUESTED_ATTRIBUTES", "Missing requested_attributes"),
        ({"requestedAttributes": {"SPAM": {}}}, "INVALID_REQUEST", "Unknown requested attribute: SPAM"),
        ({"requestedAttributes": {"<b>": {}}}, "INVALID_REQUEST", "Unknown requested attribute: (not a name)"),
        ({"requestedAttributes": ["TOXICITY"]}, "INVALID_REQUEST", "requestedAttributes"),
        ({"requestedAttributes": {"TOXICITY": 1}}, "INVALID_REQUEST", "TOXICITY"),
        ({"requestedAttributes": {"TOXICITY": {"scoreType": "PERCENTILE"}}}, "INVALID_REQUEST", "scoreType"),
        ({"requestedAttributes": {"TOXICITY": {"scoreThreshold": "x"}}}, "INVALID_REQUEST", "scoreThreshold"),
        ({"comment": TEXT | {"type": "HTML"}}, "INVALID_REQUEST", "comment.type"),
        ({"comment": {"text": 7}}, "INVALID_REQUEST", "comment.text"),
        ({"context": []}, "INVALID_REQUEST", "context"),
        ({"context": {"entries": [TEXT], "articleAndParentComment": {}}}, "INVALID_REQUEST", "one of them"),
        ({"context": {"entries": {}}}, "INVALID_REQUEST", "context.entries"),
        ({"context": {"entries": [7]}}, "INVALID_REQUEST", "context.entries[0]"),
        ({"context": {"articleAndParentComment": 7}}, "INVALID_REQUEST", "articleAndParentComment"),
        ({"languages": "en"}, "INVALID_REQUEST", "languages"),
        ({"languages": [""]}, "INVALID_REQUEST", "languages"),
        ({"clientToken": 7}, "INVALID_REQUEST", "clientToken"),
    ],
    ids=str,
)
def test_what_cannot_be_scored_is_named_as_perspective_names_it(
    perspective: RunningConsole, fields: dict[str, Any], kind: str, message: str
) -> None:
    """400 INVALID_ARGUMENT with a typed detail."""
    asked = {"comment": TEXT, "requestedAttributes": TOXICITY} | fields
    answer = perspective.post("/v1alpha1/comments:analyze", asked)
    assert answer.status == answer.error["code"] == 400
    assert answer.error["status"] == "INVALID_ARGUMENT"
    (detail,) = answer.error["details"]
    assert detail["@type"] == "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
    assert detail["errorType"] == kind
    assert message in answer.error["message"]


def test_twenty_kilobytes_are_taken(perspective: RunningConsole) -> None:
    """20,480 bytes, not characters."""
    asked = {"comment": {"text": "é" * 10_240}, "requestedAttributes": TOXICITY}
    assert perspective.post("/v1alpha1/comments:analyze", asked).status == 200


@pytest.mark.parametrize("bad", [bad for bad in bad_inputs() if bad.value is not None], ids=lambda bad: bad.name)
def test_no_bad_input_is_a_500(perspective: RunningConsole, bad: Any) -> None:
    """As the body, and as the text of a comment."""
    answer = perspective.post("/v1alpha1/comments:analyze", bad.value)
    assert 400 <= answer.status < 500
    assert answer.error["status"] == "INVALID_ARGUMENT"
    asked = {"comment": {"text": bad.value.decode("utf-8", "replace")}, "requestedAttributes": TOXICITY}
    assert perspective.post("/v1alpha1/comments:analyze", asked).status in {200, 400}


def test_suggested_scores_answer_501_in_googles_form_where_no_pipeline_is_followed(
    perspective: RunningConsole,
) -> None:
    """There is no topic that would keep them."""
    asked = {"comment": TEXT, "attributeScores": {"TOXICITY": {"summaryScore": {"value": 1}}}}
    answer = perspective.post("/v1alpha1/comments:suggestscore", asked)
    assert (answer.status, answer.error["status"]) == (501, "UNIMPLEMENTED")


def test_unknown_paths_and_versions_are_404_in_googles_form(perspective: RunningConsole) -> None:
    """Also under the discovery document's path."""
    for answer in (
        perspective.post("/v1alpha1/comments:other", {}),
        perspective.ask("GET", "/$discovery/rest?version=v2"),
    ):
        assert (answer.status, answer.error["status"]) == (404, "NOT_FOUND")
