"""Records to rows: total. Bad bytes become rejections, never exceptions.

A chat that is asked about again in the same state, by a retry or for another placement, has the same texts under a new
event id. What the chats decoded last said is kept, and texts that equal it are neither validated nor fingerprinted
again; all other fields are.

Invariant: what a record costs in memory beyond its turns is given back before the next one is decoded.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from schemas import (
    ChatEvent,
    CodecLimits,
    RecordRejected,
    Turn,
    ValueFormat,
    estimated_decoded_bytes,
    holds_unread,
    kept_turns,
    longest_user_message,
    parse_event,
    parse_event_in,
    parts_left_out,
    turns_fingerprint,
    validate_event,
    visible_turns,
)
from worker.record import Event, Record, Rejection, Row, erased_chat

KEPT_BYTES: Final = 16_000_000
"""Estimated size of the texts that are kept, all together: some 2,500 chats of 1.6 kB."""
LONGEST_KEPT_BYTES: Final = 16_000
"""A longer record would take the place of many."""
_LEAST_TO_LEAVE_OUT_BYTES: Final = 16_000
"""A shorter record has neither so many turns nor so long ones that some of them would not be kept."""

_TEXT_FIELDS: Final = ("messages", "query", "formatted_chat")
"""Where the turns may come from (`schemas.visible_text`)."""
_TYPE_KEY: Final = b'"type"'
"""Stands in every record that has parts of messages, unless someone wrote an escape for a letter."""

OnLeftOut = Callable[[str, int], None]
"""Takes what was left out of an event or cut, and how many of it."""
OnKey = Callable[[Record, str | None], None]
"""Takes a record whose key is not just the text of its chat_id, and the chat that its value names."""


class _Said(NamedTuple):
    """What a chat said last."""

    parsed: list[object]
    """Its text fields as they were parsed."""
    turns: list[Turn]
    fingerprint: str
    longest_message: int
    left_out: Counter[str] | None
    """Parts of its messages that are no text, by kind."""
    n_bytes: int
    """Estimated size of all this."""


class Decoder:
    """Decodes records; not to be shared between threads.

    Args:
        limits: Size limits.
        on_left_out: Told of everything that is not carried on as it came.
        value_format: What the records' values are.
        on_key: Told of records whose key is another than their chat_id as text.
    """

    def __init__(
        self,
        limits: CodecLimits,
        on_left_out: OnLeftOut = lambda _what, _n: None,
        *,
        value_format: ValueFormat = ValueFormat.JSON,
        on_key: OnKey = lambda _record, _chat_id: None,
    ) -> None:
        self._limits = limits
        self._on_left_out = on_left_out
        self._value_format = value_format
        self._on_key = on_key
        self._said: dict[str, _Said] = {}
        self._n_bytes = 0

    def decode(self, records: Iterable[Record]) -> list[Row]:
        """Return one row per record, in order, with an event or a rejection."""
        return [self._row(record) for record in records]

    def _row(self, record: Record) -> Row:
        try:
            event = self._event(record)
        except RecordRejected as found:
            self._on_key(record, found.chat_id)
            row = Row(record, rejection=Rejection(found.reason, found.error, found.chat_id, erases=found.erases))
            if (chat_id := erased_chat(row)) is not None:
                # Its texts would stay until others take their place.
                self._forget(chat_id)
            return row
        if record.key != event.chat.chat_id.encode():
            self._on_key(record, event.chat.chat_id)
        return Row(record, event)

    def _event(self, record: Record) -> Event:
        if self._value_format is ValueFormat.JSON:
            document = parse_event(record.value, self._limits)
        else:
            document = parse_event_in(record.value, self._limits, self._value_format)
        parsed = [document.get(name) for name in _TEXT_FIELDS]
        chat_id = document.get("chat_id")
        said = self._said.get(chat_id) if isinstance(chat_id, str) else None
        if said is not None and said.parsed == parsed:
            # Valid, as those that they equal were.
            document["messages"] = []
            chat = validate_event(document)
        else:
            chat = validate_event(document)
            said = self._read(chat, parsed, record.value or b"")
        self._count_left_out(document, chat, said)
        return Event(record, chat, said.turns, said.fingerprint, said.longest_message, holds_unread(said.left_out))

    def _read(self, chat: ChatEvent, parsed: list[object], raw: bytes) -> _Said:
        turns = visible_turns(chat)
        # An envelope may hold the messages as a text, with its quotes escaped, or encoded.
        may_have_parts = self._value_format is not ValueFormat.JSON or _TYPE_KEY in raw
        left_out = parts_left_out(parsed[0]) if may_have_parts else None
        fingerprint = turns_fingerprint(turns, holds_unread=holds_unread(left_out))
        longest_message = longest_user_message(turns)
        if len(raw) > _LEAST_TO_LEAVE_OUT_BYTES:
            turns = kept_turns(turns)
        # A list of messages takes ten times what their turns take. The model is frozen for others, not for its maker.
        vars(chat)["messages"] = []
        said = _Said(parsed, turns, fingerprint, longest_message, left_out, estimated_decoded_bytes(raw))
        self._keep(chat.chat_id, said, len(raw))
        return said

    def _count_left_out(self, document: dict[str, object], chat: ChatEvent, said: _Said) -> None:
        if document.get("event_id") != chat.event_id:
            self._on_left_out("event_id", 1)
        if document.get("occurred_at") != chat.occurred_at:
            self._on_left_out("occurred_at", 1)
        if said.left_out:
            for kind, n_parts in said.left_out.items():
                self._on_left_out(kind, n_parts)

    def _keep(self, chat_id: str, said: _Said, n_raw_bytes: int) -> None:
        self._forget(chat_id)
        if n_raw_bytes <= LONGEST_KEPT_BYTES:
            # At the end: a dict begins with what was inserted first.
            self._said[chat_id] = said
            self._n_bytes += said.n_bytes
        while self._n_bytes > KEPT_BYTES:
            self._forget(next(iter(self._said)))

    def _forget(self, chat_id: str) -> None:
        said = self._said.pop(chat_id, None)
        self._n_bytes -= said.n_bytes if said is not None else 0
