"""Payloads as other teams send and store them; a change that cannot read them breaks those teams.

A golden file is never edited: a new form of a payload is a new file.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from jsonschema import ValidationError as InvalidDocument
from pydantic import ValidationError

from schemas import (
    DEFAULT_POLICY,
    DeadLetter,
    DecidedBy,
    Decision,
    Policy,
    PolicyDecision,
    Role,
    Turn,
    VerdictChange,
    content_fingerprint,
    conversation_turns,
    decode_chat_event,
    decode_verdict,
    encode_verdict,
    encode_verdict_change,
    verdict_id,
)
from schemas.contracts import CONTRACTS
from schemas.conversation_state import decode_state, encode_state
from schemas.dead_letter import Header
from schemas.policy_table import decode_policy_row, encode_policy_row
from tests.schemas.payloads import LIMITS

GOLDEN = Path(__file__).parent / "golden"
USER, ASSISTANT, SYSTEM = Role.USER, Role.ASSISTANT, Role.SYSTEM

CHAT_EVENTS: dict[str, list[Turn]] = {
    "complete": [
        Turn(USER, "Which hiking boots keep out water?"),
        Turn(ASSISTANT, "Look for a membrane and a gusseted tongue."),
    ],
    "minimal": [Turn(USER, "hello there")],
    "ids_and_clocks_as_text": [Turn(SYSTEM, "Be brief."), Turn(USER, "¿Qué tal? 😀")],
    "ids_and_clocks_missing_or_null": [
        Turn(USER, "a poem, please"),
        Turn(ASSISTANT, "Roses are red."),
    ],
    "formatted_chat_only": [Turn(USER, "user: help me sort a list\nassistant: use sorted()")],
    "query_only": [Turn(USER, "cheap flights to Lisbon")],
    "null_optional_fields": [Turn(USER, "write to my landlord")],
    "unknown_fields": [Turn(USER, "explain photosynthesis")],
    "schema_version_number": [Turn(USER, "good morning")],
    "schema_version_text": [Turn(USER, "good night")],
    "tools_and_parts": [
        Turn(Role.DEVELOPER, "Be brief."),
        Turn(USER, "What is on this picture?\nAnd how warm is it there?"),
        Turn(Role.TOOL, '{"celsius": 21}'),
        Turn(ASSISTANT, "A beach. 21 degrees."),
    ],
}


def _validator(name: str) -> Draft202012Validator:
    (contract,) = [one for one in CONTRACTS if one.file_name == f"{name}.schema.json"]
    schema = contract.json_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


def _document(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / name).read_bytes())
    return document


def test_every_golden_chat_event_has_its_expectation() -> None:
    """A file without one would be read by no test."""
    assert {path.stem for path in (GOLDEN / "chat_event").iterdir()} == set(CHAT_EVENTS)


@pytest.mark.parametrize("name", CHAT_EVENTS)
def test_a_golden_chat_event_is_read_as_it_always_was(name: str) -> None:
    """Upstream does not change when we do."""
    event = decode_chat_event((GOLDEN / "chat_event" / f"{name}.json").read_bytes(), LIMITS)
    assert event.chat_id.startswith("chat-00")
    assert conversation_turns(event) == CHAT_EVENTS[name]


@pytest.mark.parametrize("name", CHAT_EVENTS)
def test_a_golden_chat_event_is_valid_under_the_generated_schema(name: str) -> None:
    """What the code accepts and what the contract says is one thing."""
    _validator("chat-event.v1").validate(_document(f"chat_event/{name}.json"))


def test_the_optional_fields_of_a_chat_event_are_kept() -> None:
    """event_id travels into the verdict; the others are there for whoever reads the event."""
    raw = (GOLDEN / "chat_event" / "complete.json").read_bytes()
    event = decode_chat_event(raw, LIMITS)
    assert (event.event_id, event.schema_version) == ("evt-0001", "1.4")
    assert event.messages[0].created_at == 1767322984000


LATER = {"longest_message": None, "actor": None, "model_decision": None}
"""Fields that the first verdicts of version 2 did not have."""


@pytest.mark.parametrize(
    ("name", "version", "later"),
    [("verdict.v1", "v1", {}), ("verdict.v2", "v2", LATER), ("verdict.v2_overridden", "v2", {})],
)
def test_a_golden_verdict_is_read_and_written_back_unchanged(name: str, version: str, later: dict[str, None]) -> None:
    """The cache and the topic hold verdicts that an earlier build wrote; what came later is null in them."""
    raw = (GOLDEN / f"{name}.json").read_bytes()
    expected = later | json.loads(raw)
    assert json.loads(encode_verdict(decode_verdict(raw))) == expected
    _validator(f"verdict.{version}").validate(expected)


def test_a_golden_verdict_of_version_1_is_read_as_one_of_chat_13() -> None:
    """Its version stays to be seen: it lacks what a decision can be taken from anew, so it answers no event."""
    document = _document("verdict.v1.json")
    verdict = decode_verdict((GOLDEN / "verdict.v1.json").read_bytes())
    assert verdict.schema_version == 1
    assert (verdict.taxonomy.name, verdict.category.code, verdict.decision) == ("chat-13", "H", "allow")
    assert verdict.evidence == verdict.probabilities == document["probabilities"]
    assert verdict.decisions == {
        "default": PolicyDecision(version="1", decision=Decision.ALLOW, decided_by=DecidedBy.MODEL)
    }


def test_the_golden_verdict_change_is_read_and_written_back_unchanged() -> None:
    """The ad pipeline acts on these."""
    raw = (GOLDEN / "verdict_change.v2.json").read_bytes()
    assert json.loads(encode_verdict_change(VerdictChange.model_validate_json(raw))) == json.loads(raw)
    _validator("verdict-change.v2").validate(_document("verdict_change.v2.json"))


def test_the_golden_conversation_state_is_read_and_written_back_unchanged() -> None:
    """A worker of the next release must go on with the holds of this one."""
    raw = (GOLDEN / "conversation_state.v1.json").read_bytes()
    assert json.loads(encode_state(decode_state(raw))) == json.loads(raw)
    _validator("conversation-state.v1").validate(_document("conversation_state.v1.json"))


def test_the_golden_dead_letter_headers_are_read_and_written_back_unchanged() -> None:
    """A dead letter is read again weeks after it was written."""
    document = _document("dead_letter_headers.v1.json")
    headers: list[Header] = [(name, text.encode()) for name, text in document.items()]
    letter = DeadLetter.from_headers(headers)
    assert letter.origin_offset == 2**53 + 1
    assert letter.to_headers() == headers
    _validator("dead-letter-headers.v1").validate(document)


def test_the_golden_policy_is_the_default_policy() -> None:
    """The same version under another content would make cached verdicts wrong. From version 2 on the floor applies."""
    document = _document("policy.v1.json")
    now = DEFAULT_POLICY.model_copy(update={"version": document["version"]})
    assert Policy.model_validate_json((GOLDEN / "policy.v1.json").read_bytes()) == now
    assert (document["version"], DEFAULT_POLICY.version) == ("1", "2")
    # What came later has a default that changes nothing under the bundles of that time.
    assert json.loads(now.model_dump_json(exclude_defaults=True)) == document
    _validator("policy.v1").validate(document)


def test_fingerprint_and_verdict_id_are_the_same_in_every_build() -> None:
    """Readers drop repeats by the id, and the cache hits by the fingerprint, across releases."""
    event = decode_chat_event((GOLDEN / "chat_event" / "complete.json").read_bytes(), LIMITS)
    fingerprint = content_fingerprint(event)
    assert fingerprint == "7bb2a966f77583c0d7a042401c05504c"
    assert (
        verdict_id(
            chat_id=event.chat_id,
            fingerprint=fingerprint,
            model_digest=f"sha256:{'ab' * 32}",
            rules_version="1",
            policies_digest=f"sha256:{'cd' * 32}",
        )
        == "748418a51ae36285b7a99cfc704cfeb9"
    )


def test_a_policy_table_row_is_read_and_written_as_it_stands() -> None:
    """Readers without our code hold such rows for as long as the topic does."""
    raw = (GOLDEN / "policy_table.v1.json").read_bytes()
    row = decode_policy_row(raw)
    assert json.loads(encode_policy_row(row)) == json.loads(raw)
    assert row.key == f"sha256:{'ab' * 32}/family/brand/3".encode()
    assert (row.must, row.should, row.may, row.counted) == (("D", "M"), ("J",), ("I",), frozenset("DJM"))
    _validator("policy-table.v1").validate(json.loads(raw))


@pytest.mark.parametrize(
    "change",
    [{"schema_version": 2}, {"allow_below": 1.1}, {"evidence_decimals": 4}, {"model": {"name": "m"}}, {"must": ["?"]}],
)
def test_what_is_no_policy_table_row_is_refused(change: dict[str, Any]) -> None:
    """A reader of ours must not decide by it."""
    document = _document("policy_table.v1.json") | change
    with pytest.raises(ValidationError):
        decode_policy_row(json.dumps(document).encode())
    with pytest.raises(InvalidDocument):
        _validator("policy-table.v1").validate(document)
