"""The dead letter: an input record that cannot become a verdict, with the reason in its headers.

The value is the input record's raw bytes, so that a record can be read again after a fix. It holds
chat text: give the topic a short retention and a narrow ACL.
"""

from collections.abc import Iterable
from typing import Annotated, Final, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from schemas.errors import RejectionReason
from schemas.verdict import Int64

MAX_ERROR_CHARACTERS: Final = 1_000

Header = tuple[str, str | bytes | None]


def _fit(error: object) -> object:
    """Cut a text to the header's limit: an error too long to report must not stop the worker."""
    if isinstance(error, str):
        return error[:MAX_ERROR_CHARACTERS].encode("utf-8", "replace").decode()
    return error


def _text(value: str | bytes) -> str | bytes:
    """Decode a header's value; what is no UTF-8 is left to the fields, which refuse it."""
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value


class DeadLetter(BaseModel):
    """Headers of one dead letter; every header is UTF-8 text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: RejectionReason
    error: Annotated[str, BeforeValidator(_fit, json_schema_input_type=str)] = Field(
        max_length=MAX_ERROR_CHARACTERS,
        description="For people: found, expected; no chat text. Cut to 1,000 characters.",
    )
    origin_topic: str
    origin_partition: int = Field(ge=0)
    origin_offset: Int64 = Field(ge=0)
    origin_timestamp_ms: Int64 = Field(description="ms since the epoch; -1 where the record has none")
    truncated_from_bytes: int | None = Field(
        default=None,
        ge=0,
        description="Size of the raw value, where the topic's limit forced it to be cut.",
    )

    def to_headers(self) -> list[Header]:
        """Return the Kafka headers, in the order of the contract."""
        fields = self.model_dump(mode="json", exclude_none=True)
        return [(name, str(value).encode()) for name, value in fields.items()]

    @classmethod
    def from_headers(cls, headers: Iterable[Header]) -> Self:
        """Read the headers of a dead-letter record; headers outside the contract are passed over.

        Raises:
            pydantic.ValidationError: a header of the contract is missing or malformed.
        """
        return cls.model_validate(
            {name: _text(value) for name, value in headers if value is not None and name in cls.model_fields}
        )
