"""What is sent, what comes out, and where either lies."""

from typing import NamedTuple, Self, cast

from confluent_kafka import Message

from schemas import Source


class Place(NamedTuple):
    """Where a record lies."""

    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, source: Source) -> Self:
        """Return the place that a verdict names as its source."""
        return cls(source.topic, source.partition, source.offset)

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


class InputRecord(NamedTuple):
    """One record as it is sent."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class OutputRecord(NamedTuple):
    """One record as it was read; the first three fields are its place."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: dict[str, str]

    @classmethod
    def of(cls, message: Message) -> Self:
        """Take a record out of the client's hands."""
        # The client's type knows more forms than a consumed message ever has.
        headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
        readable = {str(name): bytes(value or b"").decode("utf-8", "backslashreplace") for name, value in headers}
        return cls(*place_of(message), message.key(), message.value(), readable)


def place_of(message: Message) -> Place:
    """Return where a message lies."""
    return Place(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))
