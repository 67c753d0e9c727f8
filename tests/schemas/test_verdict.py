"""The verdict: complete, within range, and without chat text."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas import CATEGORY_NAMES, CODES, ChatEvent, Message, Verdict, category_label
from tests.schemas.payloads import make_verdict

CONTRACT_FIELDS = {
    "schema_version",
    "verdict_id",
    "chat_id",
    "event_id",
    "category",
    "probabilities",
    "banned_probability",
    "banned_to_safe_risk",
    "decision",
    "policy",
    "model",
    "content_fingerprint",
    "source",
    "decided_at",
    "cache_hit",
    "replay_id",
}


def test_a_verdict_has_the_fields_of_the_contract_and_no_other() -> None:
    """A field more is a promise more; a field less breaks a reader."""
    assert set(Verdict.model_fields) == CONTRACT_FIELDS


def test_no_field_of_a_verdict_at_any_level_can_hold_chat_text() -> None:
    """The verdict topic has more readers than the chat topic."""
    schema = Verdict.model_json_schema(mode="serialization")
    names = {name for part in (schema, *schema["$defs"].values()) for name in part.get("properties", ())}
    texts = (set(ChatEvent.model_fields) | set(Message.model_fields)) - {"chat_id", "event_id"}
    assert names & texts == {"schema_version"}


@pytest.mark.parametrize("field", ["banned_probability", "banned_to_safe_risk"])
@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan"), float("inf"), None, "high"])
def test_a_risk_outside_0_to_1_is_refused(field: str, value: object) -> None:
    """NaN would be written as null, and a reader would have to guess."""
    with pytest.raises(ValidationError, match=field):
        make_verdict(**{field: value})


@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan")])
def test_a_probability_outside_0_to_1_is_refused(value: float) -> None:
    """The same for each of the 13."""
    with pytest.raises(ValidationError, match="probabilities"):
        make_verdict(probabilities=dict.fromkeys(CODES, 0.05) | {"C": value})


@pytest.mark.parametrize("codes", [CODES[:-1], (*CODES[:-1], "N"), (*CODES, "N"), ()])
def test_probabilities_name_exactly_the_13_codes(codes: tuple[str, ...]) -> None:
    """A policy sums over any of them."""
    with pytest.raises(ValidationError, match="probabilities"):
        make_verdict(probabilities=dict.fromkeys(codes, 0.05))


@pytest.mark.parametrize(
    "fields",
    [
        {"decision": "maybe"},
        {"category": {"code": "N", "name": "x"}},
        {"decided_at": "2026-01-02T03:04:05"},
        {"model": {"name": "m", "version": "1", "digest": "sha256:short"}},
        {"model": {"name": "m", "version": "1\n", "digest": f"sha256:{'a' * 64}"}},
        {"policy": {"name": "p", "version": "one"}},
        {"policy": {"name": "p", "version": "\u0661"}},
        {"source": {"topic": "t", "partition": -1, "offset": 0, "timestamp_ms": 0}},
        {"source": {"topic": "t", "partition": 0, "offset": -1, "timestamp_ms": 0}},
    ],
)
def test_a_malformed_field_is_refused(fields: dict[str, Any]) -> None:
    """Versions are compared as dotted ASCII numbers, clocks carry a zone, offsets are not negative."""
    with pytest.raises(ValidationError):
        make_verdict(**fields)


def test_a_category_label_carries_the_name_of_its_code() -> None:
    """Readers show the name and decide by the code."""
    assert [category_label(code).name for code in CODES] == list(CATEGORY_NAMES.values())
    with pytest.raises(KeyError):
        category_label("N")
