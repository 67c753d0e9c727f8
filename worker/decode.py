"""Records to events: pure, and total. Bad bytes become rejections, never exceptions."""

from collections.abc import Iterable

from schemas import (
    CodecLimits,
    RecordRejected,
    decode_conversation,
    turns_fingerprint,
)
from worker.record import Event, Record, Rejected


def decode(records: Iterable[Record], limits: CodecLimits) -> tuple[list[Event], list[Rejected]]:
    """Decode records; each becomes one event or one rejection, both in input order."""
    events: list[Event] = []
    rejected: list[Rejected] = []
    for record in records:
        try:
            chat, turns = decode_conversation(record.value, limits)
        except RecordRejected as rejection:
            rejected.append(Rejected(record, rejection.reason, rejection.error))
        else:
            events.append(Event(record, chat, turns, turns_fingerprint(turns)))
    return events, rejected
