"""Chat events inside of envelopes: taken off where the format says so, refused with what to do where it does not."""

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import CodecLimits, RecordRejected, RejectionReason, ValueFormat, parse_event, parse_event_in
from tests.schemas.payloads import CANARY, LIMITS, event_bytes

EVENT: dict[str, Any] = orjson.loads(event_bytes())
FRAME = b"\0\0\0\0\x07"


def change(**fields: Any) -> dict[str, Any]:
    """Return a change as Debezium writes it."""
    return {"before": None, "after": EVENT, "op": "u", "source": {"db": "chats"}, "ts_ms": 1, **fields}


def cloud_event(**fields: Any) -> dict[str, Any]:
    """Return a CloudEvent."""
    return {"specversion": "1.0", "id": "1", "source": "/chats", "type": "chat", **fields}


def rejection(document: object, value_format: ValueFormat, limits: CodecLimits = LIMITS) -> RecordRejected:
    """Read what must be rejected; check that nothing of the record is in the error."""
    raw = document if isinstance(document, bytes) else orjson.dumps(document)
    with pytest.raises(RecordRejected) as caught:
        parse_event_in(raw, limits, value_format)
    assert CANARY not in caught.value.error
    return caught.value


AS_TEXT = {**EVENT, "messages": orjson.dumps(EVENT["messages"]).decode()}

WRAPPED: dict[str, tuple[ValueFormat, bytes]] = {
    "framed": (ValueFormat.CONFLUENT_JSON, FRAME + event_bytes()),
    "a change": (ValueFormat.DEBEZIUM, orjson.dumps(change())),
    "a change with its schema": (ValueFormat.DEBEZIUM, orjson.dumps({"schema": {}, "payload": change(op="c")})),
    "a snapshot's row, its messages a JSON column": (ValueFormat.DEBEZIUM, orjson.dumps(change(op="r", after=AS_TEXT))),
    "a document of MongoDB": (ValueFormat.DEBEZIUM, orjson.dumps(change(after=event_bytes().decode()))),
    "a change without its envelope": (ValueFormat.DEBEZIUM, orjson.dumps({"schema": {}, "payload": AS_TEXT})),
    "a framed change": (ValueFormat.DEBEZIUM, FRAME + orjson.dumps(change())),
    "a CloudEvent": (ValueFormat.CLOUDEVENTS, orjson.dumps(cloud_event(data=EVENT))),
    "a CloudEvent in base64": (
        ValueFormat.CLOUDEVENTS,
        orjson.dumps(cloud_event(data_base64=base64.b64encode(event_bytes()).decode())),
    ),
    "a CloudEvent with a text": (ValueFormat.CLOUDEVENTS, orjson.dumps(cloud_event(data=event_bytes().decode()))),
}


@pytest.mark.parametrize("name", WRAPPED)
def test_the_event_is_taken_out_of_its_envelope(name: str) -> None:
    """What is judged is what would be without the envelope."""
    value_format, raw = WRAPPED[name]
    found = parse_event_in(raw, LIMITS, value_format)
    assert {field: found[field] for field in EVENT} == EVENT


@pytest.mark.parametrize("value_format", ValueFormat)
def test_an_event_without_an_envelope_is_read_as_it_is(value_format: ValueFormat) -> None:
    """While producers move from one form to another a topic holds both, and a redrive meets the older one."""
    assert parse_event_in(event_bytes(), LIMITS, value_format) == parse_event(event_bytes(), LIMITS)


@pytest.mark.parametrize(
    ("deleted", "chat_id"),
    [
        (change(op="d", before=EVENT, after=None), "chat-1"),
        (change(op="d", before={"chat_id": "chat-1", "messages": None}, after=None), "chat-1"),
        (change(op="d", before=None, after=None), None),
        ({"payload": {**EVENT, "__deleted": "true"}}, "chat-1"),
        ({**EVENT, "__deleted": True}, "chat-1"),
    ],
)
def test_a_deleted_row_is_a_tombstone(deleted: dict[str, Any], chat_id: str | None) -> None:
    """The chat is gone upstream: its verdict must not stay. Where the row does not say which, its key does."""
    found = rejection(deleted, ValueFormat.DEBEZIUM)
    assert (found.erases, found.chat_id, found.reason) == (True, chat_id, RejectionReason.DECODE_ERROR)


def test_a_record_without_a_value_is_a_tombstone_in_every_format() -> None:
    """Connectors write one behind each deletion."""
    for value_format in ValueFormat:
        with pytest.raises(RecordRejected) as caught:
            parse_event_in(None, LIMITS, value_format)
        assert caught.value.erases


@pytest.mark.parametrize("column", ["messages", "query", "formatted_chat"])
def test_a_value_that_the_database_did_not_log_is_never_judged(column: str) -> None:
    """Debezium's placeholder would be judged as what the user said."""
    after = {"chat_id": "chat-1", "query": "hi", column: "__debezium_unavailable_value"}
    found = rejection(change(after=after), ValueFormat.DEBEZIUM)
    assert "REPLICA IDENTITY FULL" in found.error
    assert (found.chat_id, found.erases) == ("chat-1", False)


@pytest.mark.parametrize(
    ("document", "value_format", "says"),
    [
        (change(op="t", after=None), ValueFormat.DEBEZIUM, "op of the change is t; expected c, u, r or d"),
        (change(op=CANARY), ValueFormat.DEBEZIUM, "op of the change is unknown"),
        (change(after=None), ValueFormat.DEBEZIUM, "after of the change is missing"),
        (change(after=[CANARY]), ValueFormat.DEBEZIUM, "after of the change is a list"),
        ({"payload": [CANARY]}, ValueFormat.DEBEZIUM, "payload of the change is a list"),
        (change(after={**EVENT, "messages": CANARY}), ValueFormat.DEBEZIUM, "not well-formed JSON"),
        (cloud_event(), ValueFormat.CLOUDEVENTS, "data of the CloudEvent is missing"),
        (cloud_event(data=5), ValueFormat.CLOUDEVENTS, "data of the CloudEvent is a int"),
        (cloud_event(data_base64=f"{CANARY}?"), ValueFormat.CLOUDEVENTS, "is no base64"),
        (FRAME + b"\x02\x0cCANARY", ValueFormat.CONFLUENT_JSON, "not well-formed JSON"),
        (change(after={**EVENT, "schema_version": 2}), ValueFormat.DEBEZIUM, "expected major version 1"),
    ],
)
def test_an_envelope_without_an_event_says_what_is_wrong_with_it(
    document: object, value_format: ValueFormat, says: str
) -> None:
    """Found and expected, and nothing of the record."""
    assert says in rejection(document, value_format).error


def test_what_is_inside_obeys_the_limits_too() -> None:
    """A text in a text hides its values from the count of the record's own."""
    many = {**EVENT, "messages": "[" + "[]," * 200 + "[]]"}
    for value_format, document in (
        (ValueFormat.DEBEZIUM, change(after=many)),
        (ValueFormat.CLOUDEVENTS, cloud_event(data=orjson.dumps(many["messages"]).decode())),
    ):
        found = rejection(document, value_format, CodecLimits(max_event_values=100))
        assert found.reason in {RejectionReason.TOO_LARGE, RejectionReason.DECODE_ERROR}
    messages = [{"role": "user", "content": "a"}] * 5
    found = rejection(change(after={**EVENT, "messages": messages}), ValueFormat.DEBEZIUM, CodecLimits(max_messages=4))
    assert found.reason is RejectionReason.TOO_LARGE


NAMES = st.sampled_from(
    [
        "op",
        "before",
        "after",
        "payload",
        "schema",
        "data",
        "data_base64",
        "specversion",
        "chat_id",
        "messages",
        "__deleted",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["d", "c", "{}", "[]"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("odd", [["d"], {"d": 1}])
def test_a_list_or_an_object_where_a_word_belongs_is_a_rejection(odd: object) -> None:
    """A worker that ends with an exception reads the same record again after its restart."""
    assert rejection(change(op=odd), ValueFormat.DEBEZIUM).reason is RejectionReason.SCHEMA_ERROR
    assert parse_event_in(orjson.dumps({**EVENT, "__deleted": odd}), LIMITS, ValueFormat.DEBEZIUM)["messages"]


def test_a_row_whose_messages_are_no_json_still_names_its_chat() -> None:
    """Its marker takes the verdict before it out of the cache, also where the record has no key."""
    found = rejection(change(after={**EVENT, "messages": "{bad"}), ValueFormat.DEBEZIUM)
    assert (found.reason, found.chat_id) == (RejectionReason.DECODE_ERROR, EVENT["chat_id"])


@given(
    document=st.dictionaries(NAMES, JSON, max_size=4) | JSON,
    value_format=st.sampled_from(list(ValueFormat)),
    prefix=st.sampled_from([b"", FRAME, b"\0"]),
)
def test_any_envelope_becomes_an_object_or_a_rejection(
    document: object, value_format: ValueFormat, prefix: bytes
) -> None:
    """Bad envelopes are data, never exceptions."""
    try:
        found = parse_event_in(prefix + json.dumps(document).encode(), LIMITS, value_format)
    except RecordRejected:
        return
    assert isinstance(found, dict)
