"""The verdict: complete, within range, and without chat text."""

from typing import Any

import pytest
from pydantic import ValidationError

from schemas import CHAT_13, ChatEvent, DecidedBy, Message, Verdict, category_label, encode_verdict, shipped_taxonomy
from tests.schemas.payloads import make_verdict

CODES = CHAT_13.codes

CONTRACT_FIELDS = {
    "schema_version",
    "kind",
    "verdict_id",
    "chat_id",
    "event_id",
    "source",
    "occurred_at",
    "taxonomy",
    "category",
    "probabilities",
    "evidence",
    "language",
    "longest_message",
    "stage",
    "unevaluated",
    "decisions",
    "banned_probability",
    "banned_to_safe_risk",
    "decision",
    "policy",
    "decided_by",
    "rules_version",
    "override_revision",
    "previous",
    "actor",
    "model_decision",
    "model",
    "content_fingerprint",
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
    texts = (set(ChatEvent.model_fields) | set(Message.model_fields)) - {"chat_id", "event_id", "occurred_at"}
    assert names & texts == {"schema_version"}


@pytest.mark.parametrize("field", ["banned_probability", "banned_to_safe_risk"])
@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan"), float("inf"), None, "high"])
def test_a_risk_outside_0_to_1_is_refused(field: str, value: object) -> None:
    """NaN would be written as null, and a reader would have to guess."""
    with pytest.raises(ValidationError, match=field):
        make_verdict(**{field: value})


@pytest.mark.parametrize("field", ["probabilities", "evidence"])
@pytest.mark.parametrize("value", [-0.001, 1.001, float("nan")])
def test_a_number_outside_0_to_1_is_refused(field: str, value: float) -> None:
    """The same for each code."""
    with pytest.raises(ValidationError, match=field):
        make_verdict(**{field: dict.fromkeys(CODES, 0.05) | {"C": value}})


@pytest.mark.parametrize("codes", [CODES[:-1], (*CODES[:-1], "N"), (*CODES, "N")])
def test_evidence_has_the_codes_of_the_probabilities(codes: tuple[str, ...]) -> None:
    """Any policy of the taxonomy is taken from it; a code less would be a category that nobody looked at."""
    with pytest.raises(ValidationError, match="evidence and probabilities have different codes"):
        make_verdict(evidence=dict.fromkeys(codes, 0.05))


@pytest.mark.parametrize("n_codes", [0, 1, 257])
def test_a_verdict_speaks_of_2_to_256_categories(n_codes: int) -> None:
    """As a taxonomy has them."""
    with pytest.raises(ValidationError, match="probabilities"):
        make_verdict(probabilities={f"c{number}": 0.0 for number in range(n_codes)})


def test_the_category_is_one_of_those_that_have_a_probability() -> None:
    """Readers look its probability up."""
    with pytest.raises(ValidationError, match=r"category\.code is none of the codes"):
        make_verdict(category={"code": "N", "name": "x"})


def test_any_taxonomy_makes_verdicts() -> None:
    """The categories are data."""
    toxicity = shipped_taxonomy("toxicity")
    probabilities = dict.fromkeys(toxicity.codes, 0.0) | {"toxic": 1.0}
    verdict = make_verdict(
        taxonomy=toxicity.ref, category=category_label("toxic", toxicity), probabilities=probabilities
    )
    assert tuple(verdict.probabilities) == toxicity.codes


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None),
        ("yesterday", "yesterday"),
        (7, "7"),
        (1767322984.125, "1767322984.125"),
        (10**30, str(10**30)),
        (9 * 10**300, "9" + "0" * 255),
        (float("inf"), "inf"),
        ("x" * 300, "x" * 256),
    ],
)
def test_a_clock_of_upstream_is_text_whatever_it_was(value: object, expected: str | None) -> None:
    """One type for all readers; no value that an event may hold costs the verdict."""
    assert make_verdict(occurred_at=value).occurred_at == expected


def test_nothing_before_the_source_looks_like_one() -> None:
    """The script that writes the cache takes the first `"source":{"topic":` for the verdict's."""
    names = list(Verdict.model_fields)
    assert names[: names.index("source")] == ["schema_version", "kind", "verdict_id", "chat_id", "event_id"]
    looks_like_one = '"source":{"topic":"x","partition":0,"offset":1,"timestamp_ms":1}'
    encoded = encode_verdict(make_verdict(event_id=looks_like_one, chat_id=looks_like_one)).decode()
    assert encoded.index('"source":{"topic":"') == encoded.index('"source":{"topic":"chat-events"')


def test_the_reasons_of_a_decision_are_those_of_the_contract() -> None:
    """Adding one later would break its readers, so all are there from the first day."""
    assert [reason.value for reason in DecidedBy] == [
        "model",
        "nothing_banned",
        "unevaluated",
        "hold",
        "floor",
        "advertiser",
        "deny_list",
        "override",
    ]


@pytest.mark.parametrize(
    "fields",
    [
        {"decision": "maybe"},
        {"category": {"code": "a b", "name": "x"}},
        {"kind": "guess"},
        {"decided_by": "chance"},
        {"override_revision": -1},
        {"rules_version": ""},
        {"decisions": {}},
        {"decisions": {"other": {"version": "1", "decision": "allow", "decided_by": "model"}}},
        {"previous": {"decision": "allow", "offset": -1, "decided_at": "2026-01-02T03:04:05Z"}},
        {"previous": {"decision": "allow", "offset": 1, "decided_at": "2026-01-02T03:04:05"}},
        {"taxonomy": {"name": "chat 13", "version": "1"}},
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
    assert [category_label(code, CHAT_13).name for code in CODES] == list(CHAT_13.names.values())
    with pytest.raises(KeyError):
        category_label("N", CHAT_13)
