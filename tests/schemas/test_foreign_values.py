"""Values in forms of others: the error names what they look like and what to do."""

import base64
import gzip
import zlib
from typing import Any

import orjson
import pytest

from tests.schemas.payloads import CANARY, event_bytes, rejection

EVENT: dict[str, Any] = orjson.loads(event_bytes())
TEXT = event_bytes().decode()


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (
            b"\0\0\0\x01\x02" + event_bytes(),
            "Confluent frame with schema id 258: set MODERATION_KAFKA__VALUE_FORMAT=conf",
        ),
        (b"\0\0\0\0\x07\x0cCANARY-7f3a", "Confluent frame with schema id 7: what it frames is no JSON, but Avro"),
        (gzip.compress(event_bytes()), "looks like gzip: let the producer compress (compression.type)"),
        (zlib.compress(event_bytes()), "looks like zlib"),
        (b"\x28\xb5\x2f\xfd" + event_bytes(), "looks like zstd"),
        (TEXT.encode("utf-16"), "looks like UTF-16: write it in UTF-8"),
        (TEXT.encode("utf-16-le"), "looks like UTF-16"),
        (TEXT.encode("utf-16-be"), "looks like UTF-16"),
        (TEXT.encode("utf-32"), "looks like UTF-32"),
        (b"\xef\xbb\xbf" + event_bytes(), "looks like UTF-8 with a byte-order mark"),
        (base64.b64encode(event_bytes()), "looks like base64: send the event as JSON"),
        (base64.urlsafe_b64encode(gzip.compress(event_bytes())), "looks like base64"),
        (repr(EVENT).encode(), "looks like Python's repr of a dict: write it with json.dumps"),
        (b"<chat>CANARY-7f3a</chat>", "looks like XML"),
        (orjson.dumps(TEXT), "this text is JSON itself: the event was encoded twice"),
        (orjson.dumps(base64.b64encode(event_bytes()).decode()), "looks like base64"),
        (orjson.dumps([EVENT]), "send each event as a record of its own"),
    ],
)
def test_a_value_that_is_no_json_object_is_named_by_its_beginning(raw: bytes, says: str) -> None:
    """All of them had one text: not well-formed JSON."""
    assert says in rejection(raw).error


@pytest.mark.parametrize("raw", [b"CANARY-7f3a", b"{", b'{"chat_id": CANARY-7f3a}', b"", b"12", b'"CANARY-7f3a"'])
def test_what_looks_like_nothing_is_called_nothing(raw: bytes) -> None:
    """A wrong hint costs more than none."""
    assert "looks like" not in rejection(raw).error


@pytest.mark.parametrize(
    ("document", "says"),
    [
        (
            {"op": "c", "before": None, "after": EVENT},
            "Debezium's envelope: set MODERATION_KAFKA__VALUE_FORMAT=debezium",
        ),
        ({"schema": {}, "payload": {"op": "d", "before": EVENT}}, "Debezium's envelope"),
        ({"schema": {}, "payload": EVENT}, "Kafka Connect's envelope: set value.converter.schemas.enable=false"),
        ({"specversion": "1.0", "data": EVENT}, "CloudEvent: set MODERATION_KAFKA__VALUE_FORMAT=cloudevents"),
        ({"conversations": [{"from": "human", "value": CANARY}]}, "ShareGPT's form"),
        ({"model": "m", "messages": EVENT["messages"]}, "chat-completions request"),
    ],
)
def test_an_object_of_another_form_is_named_by_its_fields(document: dict[str, Any], says: str) -> None:
    """The operator reads what to set; the field that is missing is named too."""
    found = rejection(orjson.dumps(document)).error
    assert says in found
    assert "chat_id: Field required" in found


def test_an_event_with_such_fields_keeps_its_own_error() -> None:
    """Upstream may call a field of its own `payload` or `op`."""
    assert "envelope" not in rejection(event_bytes(query=5, op="c", after={}, specversion="1.0")).error
