"""Headers for tools of others: CloudEvents attributes and Confluent's schema header."""

import io
import struct
from uuid import UUID

import pytest

from schemas.contracts import CONTRACTS
from schemas.verdict_headers import NO_HEADERS, VerdictHeaders
from tests.schemas.payloads import make_verdict

GUID = UUID("6f1ed002-ab5a-4b0c-8f2e-1f0d5b6b3c11")
BOTH = VerdictHeaders("/verdictstream", GUID)


def test_none_is_written_unless_it_is_asked_for() -> None:
    """Readers of today see what they saw."""
    assert (NO_HEADERS.of(make_verdict()), NO_HEADERS.max_bytes) == ((), 0)


def test_a_verdict_is_a_cloud_event_in_binary_mode() -> None:
    """All attributes that are required, those that are useful, and the media type as `content-type`."""
    assert dict(VerdictHeaders("/verdictstream").of(make_verdict(chat_id="чат"))) == {
        "ce_specversion": b"1.0",
        "ce_type": b"verdictstream.verdict.v2",
        "ce_dataschema": b"urn:verdictstream:verdict:2",
        "content-type": b"application/json",
        "ce_id": b"0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f:chat-events:3:41",
        "ce_source": b"/verdictstream",
        "ce_subject": "чат".encode(),
        "ce_time": b"2026-01-02T03:04:05.678901Z",
    }


def test_the_schema_that_is_named_is_the_contract() -> None:
    """Who looks `dataschema` up must find the file."""
    (contract,) = (one for one in CONTRACTS if one.name == "verdict" and not one.is_legacy)
    assert dict(BOTH.of(make_verdict()))["ce_dataschema"].decode() == contract.json_schema()["$id"]


def test_a_conversation_that_returns_to_an_earlier_state_is_another_event() -> None:
    """Consumers drop an id that they have seen: the verdict's own returns, the event's must not. A repeat's does."""
    first = make_verdict()
    later = first.model_copy(update={"source": first.source.model_copy(update={"offset": 42})})
    assert first.verdict_id == later.verdict_id
    ids = [dict(BOTH.of(verdict))["ce_id"] for verdict in (first, later, first)]
    assert ids[0] != ids[1]
    assert ids[0] == ids[2]


def test_the_schema_header_is_what_confluents_deserialisers_read() -> None:
    """A byte 1, then the GUID's 16 bytes, big endian."""
    header = io.BytesIO(dict(BOTH.of(make_verdict()))["__value_schema_id"])
    assert struct.unpack(">b", header.read(1))[0] == 1
    assert UUID(bytes=header.read()) == GUID
    assert [name for name, _ in VerdictHeaders(schema_guid=GUID).of(make_verdict())] == ["__value_schema_id"]


def test_they_never_take_more_room_than_is_kept_for_them() -> None:
    """A verdict that its topic refuses would stop the worker."""
    longest = make_verdict(chat_id="\U0001f600" * 256)
    source = longest.source.model_copy(update={"topic": "t" * 249, "partition": 2**31 - 1, "offset": 2**63 - 1})
    headers = VerdictHeaders("s" * 256, GUID).of(longest.model_copy(update={"source": source}))
    assert sum(len(name) + len(value) + 8 for name, value in headers) <= BOTH.max_bytes


@pytest.mark.parametrize(
    ("name", "by_events", "by_schema"),
    [("ce_id", True, False), ("content-type", True, False), ("__value_schema_id", False, True), ("x", False, False)],
)
def test_each_header_has_one_writer(name: str, by_events: bool, by_schema: bool) -> None:
    """A forwarded one of the same name would stand beside it."""
    assert VerdictHeaders("/v").writes(name) is by_events
    assert VerdictHeaders(schema_guid=GUID).writes(name) is by_schema
    assert not NO_HEADERS.writes(name)
