"""Records to events: total. Bad bytes become rejections, never exceptions.

A chat that is asked about again in the same state, by a retry or for another placement, has the same texts under a new
event id. What the chats decoded last said is kept, and texts that equal it are neither validated nor fingerprinted
again; all other fields are.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from schemas import (
    CodecLimits,
    Message,
    RecordRejected,
    Turn,
    parse_event,
    turns_fingerprint,
    validate_event,
    visible_turns,
)
from worker.record import Event, Record, Rejected

_KEPT_BYTES: Final = 4_000_000
"""Records whose texts are kept, all together: some 2,500 chats. Decoded they take four times that, hostile ones 27."""
_LONGEST_KEPT_BYTES: Final = 16_000
"""A longer record would take the place of many."""

_TEXT_FIELDS: Final = ("messages", "query", "formatted_chat")
"""Where the turns may come from (`schemas.visible_text`)."""


class _Said(NamedTuple):
    """What a chat said last."""

    parsed: list[object]
    """Its text fields as they were parsed."""
    messages: list[Message]
    turns: list[Turn]
    fingerprint: str
    n_bytes: int
    """Size of the record."""


class Decoder:
    """Decodes records; not to be shared between threads.

    Args:
        limits: Size limits.
    """

    def __init__(self, limits: CodecLimits) -> None:
        self._limits = limits
        self._said: dict[str, _Said] = {}
        self._n_bytes = 0

    def decode(self, records: Iterable[Record]) -> tuple[list[Event], list[Rejected]]:
        """Decode records; each becomes one event or one rejection, both in input order."""
        events: list[Event] = []
        rejected: list[Rejected] = []
        for record in records:
            try:
                events.append(self._event(record))
            except RecordRejected as rejection:
                rejected.append(Rejected(record, rejection.reason, rejection.error, rejection.chat_id))
        return events, rejected

    def _event(self, record: Record) -> Event:
        document = parse_event(record.value, self._limits)
        parsed = [document.get(name) for name in _TEXT_FIELDS]
        chat_id = document.get("chat_id")
        said = self._said.get(chat_id) if isinstance(chat_id, str) else None
        if said is not None and said.parsed == parsed:
            chat = validate_event(document | {"messages": said.messages})
            return Event(record, chat, said.turns, said.fingerprint)
        chat = validate_event(document)
        turns = visible_turns(chat)
        said = _Said(parsed, chat.messages, turns, turns_fingerprint(turns), len(record.value or b""))
        self._keep(chat.chat_id, said)
        return Event(record, chat, turns, said.fingerprint)

    def _keep(self, chat_id: str, said: _Said) -> None:
        self._forget(chat_id)
        if said.n_bytes <= _LONGEST_KEPT_BYTES:
            # At the end: a dict begins with what was inserted first.
            self._said[chat_id] = said
            self._n_bytes += said.n_bytes
        while self._n_bytes > _KEPT_BYTES:
            self._forget(next(iter(self._said)))

    def _forget(self, chat_id: str) -> None:
        said = self._said.pop(chat_id, None)
        self._n_bytes -= said.n_bytes if said is not None else 0
