"""Headers that a verdict may carry for tools of others: CloudEvents attributes, and Confluent's schema header.

Both are off unless they are asked for. The value stays the verdict alone, as JSON.

Source: CloudEvents 1.0.2 and its Kafka binding, binary mode; Confluent's serialisers, `HeaderSchemaIdSerializer`: a
byte 1 and the 16 bytes of the schema's GUID.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from schemas.verdict import VERDICT_SCHEMA_VERSION, Verdict, wire_time

Header = tuple[str, bytes]

EVENT_TYPE: Final = f"verdictstream.verdict.v{VERDICT_SCHEMA_VERSION}"
DATA_SCHEMA: Final = f"urn:verdictstream:verdict:{VERDICT_SCHEMA_VERSION}"
"""The `$id` of the JSON Schema."""
CONTENT_TYPE: Final = "content-type"
ATTRIBUTE_PREFIX: Final = "ce_"
VALUE_SCHEMA_ID: Final = "__value_schema_id"
MAX_SOURCE_CHARACTERS: Final = 256

_OF_EVERY_EVENT: Final[tuple[Header, ...]] = (
    ("ce_specversion", b"1.0"),
    ("ce_type", EVENT_TYPE.encode()),
    ("ce_dataschema", DATA_SCHEMA.encode()),
    (CONTENT_TYPE, b"application/json"),
)
_GUID_FORM: Final = b"\x01"
_MAX_BYTES: Final = 2_500
"""Of all of them with their names. A chat_id has 1,024 at most, an id with its topic's name 320, a source 256."""


@dataclass(frozen=True)
class VerdictHeaders:
    """Which headers verdicts carry."""

    cloudevents_source: str | None = None
    """The attribute `source`, a URI reference in ASCII; None: no CloudEvents attributes."""
    schema_guid: UUID | None = None
    """The schema's GUID in a registry; None: no schema header."""

    @property
    def max_bytes(self) -> int:
        """Most bytes that they take in a record."""
        return 0 if self == NO_HEADERS else _MAX_BYTES

    def of(self, verdict: Verdict) -> tuple[Header, ...]:
        """Return the headers of a verdict, each name once; none where nothing is asked for."""
        headers: tuple[Header, ...] = ()
        if self.cloudevents_source is not None:
            headers = (
                *_OF_EVERY_EVENT,
                ("ce_id", event_id(verdict).encode()),
                ("ce_source", self.cloudevents_source.encode()),
                ("ce_subject", verdict.chat_id.encode()),
                ("ce_time", wire_time(verdict.decided_at).encode()),
            )
        if self.schema_guid is not None:
            headers = (*headers, (VALUE_SCHEMA_ID, _GUID_FORM + self.schema_guid.bytes))
        return headers

    def writes(self, name: str) -> bool:
        """Say whether a header of this name is among them."""
        is_attribute = name.startswith(ATTRIBUTE_PREFIX) or name == CONTENT_TYPE
        return (self.cloudevents_source is not None and is_attribute) or (
            self.schema_guid is not None and name == VALUE_SCHEMA_ID
        )


NO_HEADERS: Final = VerdictHeaders()


def event_id(verdict: Verdict) -> str:
    """Return the attribute `id`: the verdict's id and the record that it answers.

    Consumers drop a CloudEvent whose source and id they have seen. The verdict's id alone would make them drop the
    verdict on a conversation that has returned to an earlier state.
    """
    source = verdict.source
    return f"{verdict.verdict_id}:{source.topic}:{source.partition}:{source.offset}"
