"""comments:analyze over plain HTTP: scores, spans, thresholds, context and languages."""

from typing import Any

import pytest

from console.perspective.attributes import Attributes
from console.service import Service
from schemas import shipped_taxonomy
from tests.console.perspective.conftest import with_attributes
from tests.console.server import RunningConsole

BANNED = "write an erotic story about two strangers"


def analyze(console: RunningConsole, text: str, **fields: Any) -> dict[str, Any]:
    """Return the answer on a comment."""
    asked = {"comment": {"text": text}, "requestedAttributes": {"TOXICITY": {}}, **fields}
    answer = console.post("/v1alpha1/comments:analyze?key=none", asked)
    assert answer.status == 200, answer.raw
    document: dict[str, Any] = answer.json
    return document


def test_a_score_is_the_evidence_of_the_categories_that_mean_it(perspective: RunningConsole) -> None:
    """Of several categories the sum."""
    evidence = perspective.post("/v1/classify", {"text": BANNED}).json["evidence"]
    scores = analyze(perspective, BANNED, requestedAttributes={"TOXICITY": {}, "FICTION": {"scoreType": "PROBABILITY"}})
    assert scores["attributeScores"]["TOXICITY"]["summaryScore"] == {"value": evidence["M"], "type": "PROBABILITY"}
    fiction = scores["attributeScores"]["FICTION"]["summaryScore"]["value"]
    assert fiction == pytest.approx(min(1, evidence["D"] + evidence["J"]), abs=1e-6)


@pytest.mark.parametrize(("text", "n_units"), [("hello", 5), ("h\u00e9llo", 5), ("hi \U0001f600", 5), ("日本", 2)])
def test_the_span_is_the_whole_comment_in_utf_16_units(perspective: RunningConsole, text: str, n_units: int) -> None:
    """An emoji counts two, whoever counts in bytes or code points."""
    (span,) = analyze(perspective, text)["attributeScores"]["TOXICITY"]["spanScores"]
    assert (span["begin"], span["end"]) == (0, n_units)


def test_a_score_below_its_threshold_is_left_out(perspective: RunningConsole) -> None:
    """Where each is, `attributeScores` is not there at all."""
    both = {"TOXICITY": {"scoreThreshold": 0.9999}, "FICTION": {"scoreThreshold": 0}}
    assert analyze(perspective, "hello", requestedAttributes=both)["attributeScores"].keys() == {"FICTION"}
    assert "attributeScores" not in analyze(perspective, "hello", requestedAttributes={"TOXICITY": both["TOXICITY"]})


def test_what_a_client_sends_along_comes_back_or_is_taken(perspective: RunningConsole) -> None:
    """The token is echoed; the rest changes nothing."""
    along = {"clientToken": "comment:7", "sessionId": "s", "communityId": "c", "doNotStore": False, "unknown": 1}
    answer = analyze(perspective, "hello", **along)
    assert answer["clientToken"] == "comment:7"
    assert "clientToken" not in analyze(perspective, "hello")
    assert answer["attributeScores"] == analyze(perspective, "hello")["attributeScores"]


def test_earlier_turns_are_context_and_not_the_authors_words(perspective: RunningConsole) -> None:
    """They change the reading; a banned one does not make a banned comment of an answer to it."""
    alone = analyze(perspective, "yes, go on")
    entries = analyze(perspective, "yes, go on", context={"entries": [{"text": BANNED}, {"text": " "}]})
    article = analyze(
        perspective,
        "yes, go on",
        context={"articleAndParentComment": {"article": {"text": BANNED}, "parentComment": {"text": ""}}},
    )
    assert entries["attributeScores"] == article["attributeScores"]
    assert entries["attributeScores"] != alone["attributeScores"]


@pytest.mark.parametrize("text", ["?!", "lol", "asdf", "日本", "12345", "ok ok", "ÄÖÜ", "да"])
def test_no_comment_is_refused_for_a_language_that_was_detected(perspective: RunningConsole, text: str) -> None:
    """The most reported pain of Perspective's users."""
    answer = analyze(perspective, text)
    assert answer["languages"] == answer["detectedLanguages"]
    assert len(answer["detectedLanguages"]) == 1


def test_a_language_that_is_named_is_answered_as_asked(perspective: RunningConsole) -> None:
    """`languages` are those that were used."""
    assert analyze(perspective, "hello", languages=["en-GB"])["languages"] == ["en-GB"]


class _English:
    """A detector of a bundle that was calibrated on English alone."""

    @staticmethod
    def is_calibrated(language: str | None) -> bool:
        return language in {None, "en"}


def test_a_named_language_that_no_chat_was_calibrated_on_is_the_apis_error(service: Service) -> None:
    """The caller said it; clients read attribute and languages from the detail."""
    console = RunningConsole(with_attributes(service, _English()))
    try:
        asked = {"comment": {"text": "hi"}, "requestedAttributes": {"TOXICITY": {}}, "languages": ["om"]}
        answer = console.post("/v1alpha1/comments:analyze", asked)
        assert answer.status == 400
        (detail,) = answer.error["details"]
        assert detail["errorType"] == "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE"
        found = detail["languageNotSupportedByAttributeError"]
        assert found == {"requestedLanguages": ["om"], "attribute": "TOXICITY"}
        assert console.post("/v1alpha1/comments:analyze", asked | {"languages": ["om", "en-US"]}).status == 200
    finally:
        console.close()


def test_the_toxicity_taxonomy_answers_toxicity_and_chat_13_nothing(console: RunningConsole) -> None:
    """A model of intents knows no toxicity; saying so beats a number that means something else."""
    assert Attributes(shipped_taxonomy("toxicity")).names == ["TOXICITY"]
    assert Attributes(shipped_taxonomy("chat-13")).names == []
    asked = {"comment": {"text": "hi"}, "requestedAttributes": {"TOXICITY": {}}}
    answer = console.post("/v1alpha1/comments:analyze", asked)
    assert answer.error["message"].startswith("Unknown requested attribute: TOXICITY")
    assert answer.error["details"][0]["errorType"] == "INVALID_REQUEST"
