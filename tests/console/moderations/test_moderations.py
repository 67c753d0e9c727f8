"""POST /v1/moderations over plain HTTP: OpenAI's shape, and never a number of ours under a name of OpenAI's."""

from typing import Any

import pytest

from console.moderations.documents import OPENAI_NAMES
from tests.bad_inputs import bad_inputs
from tests.console.server import RunningConsole

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
BANNED = "write an erotic story about two strangers"


def results_of(console: RunningConsole, value: Any) -> list[dict[str, Any]]:
    """Return the results of one request."""
    answer = console.post("/v1/moderations", {"input": value})
    assert answer.status == 200, answer.raw
    results: list[dict[str, Any]] = answer.json["results"]
    return results


def test_a_list_has_one_result_for_each_and_parts_have_one_together(console: RunningConsole) -> None:
    """As OpenAI's documents say."""
    assert len(results_of(console, "hello")) == 1
    assert len(results_of(console, ["hello", BANNED, "thanks"])) == 3
    assert len(results_of(console, [{"type": "text", "text": "hello"}, {"type": "text", "text": BANNED}])) == 1


def test_openais_names_are_there_and_claim_nothing(console: RunningConsole) -> None:
    """All thirteen in all three maps: false, 0 and applied to no input, whatever the text."""
    for result in results_of(console, ["hello", BANNED]):
        for name in OPENAI_NAMES:
            assert result["categories"][name] is False
            assert result["category_scores"][name] == 0.0
            assert result["category_applied_input_types"][name] == []
        keys = {map_: result[map_].keys() for map_ in ("categories", "category_scores", "category_applied_input_types")}
        assert len({frozenset(names) for names in keys.values()}) == 1
        own = keys["categories"] - set(OPENAI_NAMES)
        assert len(OPENAI_NAMES) == 13
        assert all(":" in name for name in own)


def test_our_categories_stand_beside_them_with_the_verdicts_numbers(console: RunningConsole) -> None:
    """Scores are the probabilities of the verdict; flagged is its decision."""
    verdict = console.post("/v1/classify", {"text": BANNED}).json
    (result,) = results_of(console, BANNED)
    for code, probability in verdict["probabilities"].items():
        assert result["category_scores"][f"chat-13:{code}"] == probability
    assert result["category_scores"]["policy:default"] == verdict["banned_probability"]
    assert result["verdictstream"]["decision"] == verdict["decision"]
    assert result["flagged"] is True
    code = verdict["category"]["code"]
    assert result["verdictstream"]["flagged_names"] == ["policy:default", f"chat-13:{code}"]
    (safe,) = results_of(console, "hello")
    assert safe["flagged"] is False
    assert safe["verdictstream"]["flagged_names"] == []
    assert not any(safe["categories"].values())


def test_an_image_is_reported_as_not_evaluated_and_is_not_allowed(console: RunningConsole) -> None:
    """Nobody looked at it: no score says that it is fine, and its text's does not either."""
    (beside_text,) = results_of(console, [{"type": "text", "text": "hello"}, IMAGE])
    assert beside_text["verdictstream"]["unevaluated"] == ["image"]
    assert (beside_text["flagged"], beside_text["verdictstream"]["decision"]) == (True, "review")
    assert all("image" not in types for types in beside_text["category_applied_input_types"].values())
    (alone,) = results_of(console, [IMAGE, {"type": "text", "text": " "}])
    assert alone["verdictstream"]["unevaluated"] == ["image"]
    assert (alone["flagged"], alone["verdictstream"]["category"]) == (True, None)
    assert set(alone["category_scores"]) == set(OPENAI_NAMES)


def test_the_model_that_answered_is_named_whatever_was_asked_for(console: RunningConsole) -> None:
    """A client's default name of OpenAI's is no reason to refuse, and none to claim to be that model."""
    answer = console.post("/v1/moderations", {"input": "hello", "model": "omni-moderation-latest"}).json
    ref = console.service.bundle.ref
    assert answer["model"] == f"{ref.name}-{ref.version}"
    assert answer["id"].startswith("modr-")


@pytest.mark.parametrize(
    ("value", "param"),
    [
        (None, "input"),
        (7, "input"),
        ({}, "input"),
        ([], "input"),
        ("", "input"),
        ("\u200b", "input"),
        (["hello", ""], "input[1]"),
        (["hello", 7], "input"),
        ([[1, 2, 3]], "input"),
        ([1, 2, 3], "input"),
        ([{"type": "text"}], "input[0]"),
        ([{"type": "text", "text": 7}], "input[0]"),
        ([{"type": "text", "text": ""}], "input"),
        ([{"type": "input_audio"}], "input[0]"),
        ([{"type": "image_url", "image_url": "https://a.example/a.png"}], "input[0]"),
        (["hello"] * 257, "input"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_cannot_be_judged_is_a_400_that_names_the_place(console: RunningConsole, value: Any, param: str) -> None:
    """With all four keys, which clients read without looking."""
    answer = console.post("/v1/moderations", {"input": value})
    assert answer.status == 400
    assert set(answer.error) == {"message", "type", "param", "code"}
    assert (answer.error["type"], answer.error["param"]) == ("invalid_request_error", param)
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("bad", [bad for bad in bad_inputs() if bad.value is not None], ids=lambda bad: bad.name)
def test_no_bad_input_is_a_500(console: RunningConsole, bad: Any) -> None:
    """As the body, and as a text in it."""
    assert 400 <= console.post("/v1/moderations", bad.value).status < 500
    answer = console.post("/v1/moderations", {"input": bad.value.decode("utf-8", "replace")})
    assert answer.status in {200, 400, 413}
