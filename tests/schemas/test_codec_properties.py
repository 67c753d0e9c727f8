"""Decoding is total, and what is encoded is read back the same."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from schemas import (
    CHAT_13,
    ChatEvent,
    DecidedBy,
    Decision,
    PreviousDecision,
    RecordRejected,
    RejectionReason,
    Role,
    Verdict,
    VerdictKind,
    category_label,
    decode_chat_event,
    decode_verdict,
    encode_verdict,
)
from schemas.contracts import CONTRACTS
from schemas.verdict_v1 import VerdictV1
from tests.schemas.payloads import CANARY, LIMITS, event_bytes, make_verdict

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["user", "assistant", "system", CANARY, "1", "1.4", "2", "", "\u200b"])
    | st.text(max_size=8)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["text", "input_text", "output_text", "image_url"]) | VALUES,
        "text": st.text(max_size=8) | VALUES,
    },
)
MESSAGES = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from([role.value for role in Role]) | VALUES,
        "content": st.text(max_size=8) | st.lists(PARTS | VALUES, max_size=3) | VALUES,
        "tool_calls": VALUES,
        "id": VALUES,
        "createdAt": VALUES,
        CANARY: VALUES,
    },
)
EVENTS = st.fixed_dictionaries(
    {"chat_id": st.text(max_size=8) | VALUES},
    optional={
        "messages": st.lists(MESSAGES, max_size=4) | VALUES,
        "context": VALUES,
        "query": st.text(max_size=8) | VALUES,
        "formatted_chat": st.text(max_size=8) | VALUES,
        "event_id": VALUES,
        "occurred_at": VALUES,
        "schema_version": st.sampled_from([1, "1", "1.4"]) | VALUES,
        CANARY: VALUES,
    },
)


def _outcome(raw: bytes) -> ChatEvent | RecordRejected:
    """Decode; any other exception than RecordRejected fails the test."""
    try:
        return decode_chat_event(raw, LIMITS)
    except RecordRejected as rejected:
        return rejected


@given(st.binary(max_size=200))
@example(b"\xef\xbb\xbf{}")
@example(b'{"a":' * 300)
@example(b"-")
@example(b'"\\u')
@example(b"1e999999999")
def test_any_bytes_become_an_event_or_a_rejection(raw: bytes) -> None:
    """One record must never stop the worker."""
    assert isinstance(_outcome(raw), ChatEvent | RecordRejected)


@given(st.data())
def test_an_event_with_damaged_bytes_becomes_an_event_or_a_rejection(data: st.DataObject) -> None:
    """Random bytes seldom get past the parser; a valid event with a few bytes changed does."""
    raw = bytearray(event_bytes(query="é", event_id=1, schema_version="1.4"))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(_outcome(bytes(raw)), ChatEvent | RecordRejected)


@given(EVENTS)
def test_any_object_becomes_an_event_or_a_rejection_that_tells_no_text(
    document: dict[str, Any],
) -> None:
    """The error travels into headers and logs, where chat text must not be."""
    outcome = _outcome(json.dumps(document).encode())
    if isinstance(outcome, RecordRejected):
        assert CANARY not in str(outcome)
        assert len(outcome.error) <= 1_000
    else:
        assert outcome.chat_id == document["chat_id"]


@given(EVENTS)
def test_what_the_published_schema_allows_is_not_refused_for_its_form(
    document: dict[str, Any],
) -> None:
    """Upstream validates against the schema and may rely on it; the major version apart."""
    schema = next(contract for contract in CONTRACTS if contract.name == "chat-event").json_schema()
    valid = Draft202012Validator(schema).is_valid(document)
    outcome = _outcome(json.dumps(document).encode())
    if isinstance(outcome, ChatEvent):
        return
    if valid and not outcome.error.startswith("schema_version"):
        assert outcome.reason is RejectionReason.EMPTY_CONVERSATION


PROBABILITY = st.floats(0, 1)
# Hypothesis takes the bounds without a zone and draws the zone apart.
EARLIEST, LATEST = datetime(1971, 1, 1), datetime(2999, 1, 1)  # noqa: DTZ001
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45)), timezone(-timedelta(hours=9))])


CODES = CHAT_13.codes
NUMBERS = st.fixed_dictionaries(dict.fromkeys(CODES, PROBABILITY))
TIMES = st.datetimes(EARLIEST, LATEST, timezones=ZONES)
VERDICTS = st.fixed_dictionaries(
    {
        "chat_id": st.text(min_size=1, max_size=256),
        "event_id": st.none() | st.integers(-(2**70), 2**70) | st.text(max_size=8),
        "kind": st.sampled_from(VerdictKind),
        "occurred_at": st.none() | st.text(max_size=256),
        "probabilities": NUMBERS,
        "evidence": NUMBERS,
        "language": st.none() | st.text(max_size=8),
        "stage": st.text(max_size=8),
        "unevaluated": st.lists(st.text(max_size=8), max_size=3),
        "decided_by": st.sampled_from(DecidedBy),
        "rules_version": st.text(min_size=1, max_size=8),
        "override_revision": st.integers(0, 2**40),
        "previous": st.none()
        | st.builds(
            PreviousDecision, decision=st.sampled_from(Decision), offset=st.integers(0, 2**63 - 1), decided_at=TIMES
        ),
        "banned_probability": PROBABILITY,
        "banned_to_safe_risk": PROBABILITY,
        "decision": st.sampled_from(Decision),
        "category": st.sampled_from(CODES).map(lambda code: category_label(code, CHAT_13)),
        "decided_at": TIMES,
        "cache_hit": st.booleans(),
        "replay_id": st.none() | st.text(max_size=8),
    }
)


@given(VERDICTS)
def test_a_verdict_is_read_back_as_it_was_written(fields: dict[str, Any]) -> None:
    """Topic and cache hold the same bytes; no digit of a probability may be lost on the way."""
    verdict = make_verdict(**fields)
    encoded = encode_verdict(verdict)
    assert decode_verdict(encoded) == verdict
    assert encode_verdict(decode_verdict(encoded)) == encoded
    assert json.loads(encoded) == verdict.model_dump(mode="json")


SCHEMAS = {one.file_name: Draft202012Validator(one.json_schema()) for one in CONTRACTS if one.name == "verdict"}


@given(VERDICTS)
def test_an_encoded_verdict_is_what_the_published_schema_says(fields: dict[str, Any]) -> None:
    """Other teams generate their types from it."""
    SCHEMAS["verdict.v2.schema.json"].validate(json.loads(encode_verdict(make_verdict(**fields))))


VERSION_1 = VERDICTS.map(lambda fields: make_verdict(**fields)).map(
    lambda verdict: verdict.model_copy(update={"schema_version": 1})
)


@given(VERSION_1)
def test_a_verdict_of_version_1_is_read_and_written_back_in_its_form(verdict: Verdict) -> None:
    """Topics and caches hold them for a week after the upgrade; no digit and no field of them may be lost."""
    encoded = encode_verdict(verdict)
    document = json.loads(encoded)
    SCHEMAS["verdict.v1.schema.json"].validate(document)
    assert document.keys() == VerdictV1.model_fields.keys()
    read = decode_verdict(encoded)
    assert read.schema_version == 1
    assert all(value == read.model_dump(mode="json")[name] for name, value in document.items())
    assert read.evidence == read.probabilities == verdict.probabilities
    assert encode_verdict(read) == encoded


@given(VERSION_1, st.sampled_from(sorted(VerdictV1.model_fields)))
def test_a_verdict_of_version_1_without_one_of_its_fields_is_refused(verdict: Verdict, name: str) -> None:
    """All were always there, but for the ids that may be null; what lacks its version is read as one of today."""
    document = json.loads(encode_verdict(verdict))
    del document[name]
    if name in ("event_id", "replay_id"):
        assert getattr(decode_verdict(json.dumps(document).encode()), name) is None
    else:
        with pytest.raises(ValidationError, match="taxonomy" if name == "schema_version" else name):
            decode_verdict(json.dumps(document).encode())


def test_an_encoded_verdict_is_json_that_any_parser_reads() -> None:
    """A second parser reads what pydantic wrote, to the same values."""
    verdict = make_verdict(chat_id='é"\\\u2028😀', banned_to_safe_risk=1e-17)
    assert orjson.loads(encode_verdict(verdict)) == verdict.model_dump(mode="json")


@given(st.binary(max_size=100) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_bytes_that_are_no_verdict_are_a_validation_error(raw: bytes) -> None:
    """The cache may hold anything; its reader answers one exception with a miss."""
    with pytest.raises(ValidationError):
        decode_verdict(raw)


def test_a_field_of_a_later_minor_version_does_not_stop_a_reader() -> None:
    """Old and new workers run side by side during a rollout."""
    verdict = make_verdict()
    document = {**json.loads(encode_verdict(verdict)), "explanation_id": 7}
    assert decode_verdict(json.dumps(document).encode()) == verdict


@pytest.mark.parametrize("version", [0, 3, "3", "2.0.0", None])
def test_a_verdict_of_an_unknown_major_version_is_refused(version: object) -> None:
    """Its fields may mean something else; a wrong hit is worse than a miss."""
    document = {**json.loads(encode_verdict(make_verdict())), "schema_version": version}
    with pytest.raises(ValidationError, match="schema_version"):
        decode_verdict(json.dumps(document).encode())


def test_encoding_does_not_write_what_the_model_does_not_know() -> None:
    """An extra field is dropped on the way in, so that chat text cannot ride along."""
    verdict = Verdict.model_validate({**make_verdict().model_dump(), "content": CANARY})
    assert CANARY.encode() not in encode_verdict(verdict)
