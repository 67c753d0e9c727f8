"""Rows of the data stages: one chat per JSON line, read by the serving codec.

A row is a ChatEvent with further fields (`category`, `source`, `license_class`, …) that every stage carries along.

Invariant: a chat that the worker would dead-letter is rejected here for the same reason, and no reject holds chat text.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import jiter
import orjson
from pydantic import BaseModel, ConfigDict

from schemas import (
    RESULTS_OF_TOOLS,
    ChatEvent,
    CodecLimits,
    Message,
    RecordRejected,
    Turn,
    conversation_turns,
    decode_chat_event,
    is_visible,
)

MAX_ROW_BYTES: Final = 4_000_000
"""A row may be larger than an event (2 MB), because stages add fields to it."""


class DropReason(StrEnum):
    """Why a stage leaves a chat out; the codec's own reasons (`schemas.RejectionReason`) come on top."""

    OLDER_STATE = "older_state"
    """A later row holds a newer state of the same chat."""
    EXACT_DUPLICATE = "exact_duplicate"
    NEAR_DUPLICATE = "near_duplicate"
    TOO_SHORT = "too_short"
    OTHER_LANGUAGE = "other_language"
    RELATED_TO_EXCLUDED = "related_to_excluded"
    """In the same group as a chat of a set that must stay unseen."""
    REPEATED_CHAT_ID = "repeated_chat_id"


class Reject(BaseModel):
    """One chat that a stage left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    position: str
    """File and line, file and record, or topic, partition and offset."""
    reason: str
    error: str
    chat_id: str | None = None


OnReject = Callable[[Reject], None]


@dataclass(frozen=True)
class ChatRow:
    """One chat as a stage reads it."""

    position: str
    chat_id: str
    turns: list[Turn] = field(repr=False)
    """Visible turns, oldest first, as serving reads them."""
    fields: dict[str, Any] = field(repr=False)
    """The whole row, `messages` included."""


def read_chat_rows(paths: Sequence[Path], on_reject: OnReject) -> Iterator[ChatRow]:
    """Yield the chats of JSON-lines files in order; what the codec refuses goes to `on_reject`."""
    limits = CodecLimits(max_event_bytes=MAX_ROW_BYTES)
    for path in paths:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                position = f"{path.name}:{number}"
                try:
                    event = decode_chat_event(line.rstrip(b"\r\n"), limits)
                except RecordRejected as rejection:
                    on_reject(Reject(position=position, reason=rejection.reason.value, error=rejection.error))
                    continue
                yield ChatRow(position, event.chat_id, conversation_turns(event), jiter.from_json(line))


def encode_row(row: dict[str, Any]) -> bytes:
    """Return a row as one JSON line."""
    try:
        return orjson.dumps(row) + b"\n"
    except TypeError:  # an integer past 64 bits, such as a message id: rare, and orjson refuses it
        return json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def messages_of(event: ChatEvent, *, last: int) -> list[dict[str, Any]]:
    """Return the last visible messages as rows hold them.

    Where `messages` is empty, the text that serving reads instead becomes one user message, so that both read the same.
    """
    visible = [message for message in event.messages if is_visible(message.content)]
    if not visible:
        return [{"role": turn.role.value, "content": turn.text} for turn in conversation_turns(event)]
    n_left = {True: last, False: last}
    kept: list[Message] = []
    for message in reversed(visible):
        # Results of tools take no other message's place, as in the window.
        is_result = message.role in RESULTS_OF_TOOLS
        if n_left[is_result]:
            n_left[is_result] -= 1
            kept.append(message)
    return [
        message.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"tool_calls"})
        for message in reversed(kept)
    ]
