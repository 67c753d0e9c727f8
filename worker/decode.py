"""Records to events: pure, and total. Bad bytes become rejections, never exceptions."""

from collections.abc import Iterable

from schemas import (
    CodecLimits,
    RecordRejected,
    conversation_turns,
    decode_chat_event,
    turns_fingerprint,
)
from worker.record import Event, Record, Rejected


def decode(records: Iterable[Record], limits: CodecLimits) -> tuple[list[Event], list[Rejected]]:
    """Decode records; each becomes one event or one rejection, both in input order."""
    events: list[Event] = []
    rejected: list[Rejected] = []
    for record in records:
        try:
            chat = decode_chat_event(record.value, limits)
        except RecordRejected as rejection:
            rejected.append(Rejected(record, rejection.reason, rejection.error))
        else:
            turns = conversation_turns(chat)
            events.append(Event(record, chat, turns, turns_fingerprint(turns)))
    return events, rejected
