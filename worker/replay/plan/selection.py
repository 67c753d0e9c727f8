"""Which records between the offsets a replay takes. Pure.

A chat is known by the record's key, as the contract says; only where a record has no key is its value looked into.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import orjson
from pydantic import ValidationError

from schemas import DeadLetter, RejectionReason, Source
from worker.record import Origin, Record
from worker.replay.plan.request import ReplayRequest


@dataclass(frozen=True)
class Selection:
    """The rule of one replay."""

    since_ms: int | None = None
    until_ms: int | None = None
    chats: frozenset[bytes] = frozenset()
    """Empty: all chats."""
    reasons: frozenset[RejectionReason] = frozenset()
    """Empty: all reasons."""

    @classmethod
    def of(cls, request: ReplayRequest, chat_ids: Iterable[str]) -> "Selection":
        """Return the rule of a request, whose chat ids are given apart."""
        chats = frozenset(chat_id.encode() for chat_id in chat_ids)
        return cls(request.since_ms, request.until_ms, chats, frozenset(request.reasons))

    def takes(self, record: Record, letter: DeadLetter | None = None) -> bool:
        """Say whether a record is asked for.

        Args:
            record: The record as it was read.
            letter: Of a redrive, the headers of the dead letter; None where it has none.
        """
        if self.since_ms is not None and record.timestamp_ms < self.since_ms:
            return False
        if self.until_ms is not None and record.timestamp_ms >= self.until_ms:
            return False
        if self.reasons and (letter is None or letter.reason not in self.reasons):
            return False
        return not self.chats or _chat(record) in self.chats


def _chat(record: Record) -> bytes:
    if record.key is not None:
        return record.key
    try:
        return str(orjson.loads(record.value or b"")["chat_id"]).encode()
    except (orjson.JSONDecodeError, TypeError, KeyError, UnicodeEncodeError):
        return b""


def dead_letter_of(headers: Sequence[tuple[str, bytes | None]]) -> DeadLetter | None:
    """Return what headers say of a dead letter; None for a record that is none, which is judged as it lies there."""
    try:
        return DeadLetter.from_headers(headers)
    except ValidationError:
        return None


def with_origin(record: Record, letter: DeadLetter | None) -> Record:
    """Return a dead letter as the record that it was."""
    if letter is None:
        return record
    source = Source(
        topic=letter.origin_topic,
        partition=letter.origin_partition,
        offset=letter.origin_offset,
        timestamp_ms=letter.origin_timestamp_ms,
    )
    return record._replace(origin=Origin(source, letter.truncated_from_bytes))
