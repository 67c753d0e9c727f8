"""Chats in ShareGPT's form, and bodies of chat-completions requests, as chat events.

Neither names a chat as ours do. The chat is named by the document's own `id` where that is a text, else by a digest of
its messages, so that the same conversation has the same name in every run; its later states then have others.

Invariant: a turn of an unknown speaker is never guessed; the codec refuses it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import jiter

from schemas.foreign_forms import is_chat_completion_request, is_sharegpt

_ROLES: Final = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "system": "system",
    "function_call": "assistant",
    "function_response": "tool",
    "observation": "tool",
    "tool": "tool",
}
"""Who speaks in ShareGPT's form, by the names that its data sets use."""

_MAX_ID_CHARACTERS: Final = 256


def as_chat_event(raw: bytes) -> bytes | None:
    """Return a record in one of the two forms as a chat event; None where it is in neither, or no JSON."""
    try:
        document = jiter.from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError:
        return None
    if not isinstance(document, dict):
        return None
    if is_sharegpt(document):
        turns = document["conversations"] if "conversations" in document else document["messages"]
        messages: object = [_message(turn) for turn in turns]
    elif is_chat_completion_request(document):
        messages = document["messages"]
    else:
        return None
    return _encoded({"chat_id": _chat_id(document, messages), "messages": messages})


def _message(turn: object) -> object:
    if not isinstance(turn, dict):
        return turn
    speaker = turn.get("from")
    role = _ROLES.get(speaker.casefold(), speaker) if isinstance(speaker, str) else speaker
    return {"role": role, "content": turn.get("value")}


def _chat_id(document: Mapping[str, Any], messages: object) -> str:
    for name in ("chat_id", "id"):
        own = document.get(name)
        if isinstance(own, str) and 0 < len(own) <= _MAX_ID_CHARACTERS:
            return own
    return f"content-{hashlib.blake2b(_encoded(messages), digest_size=16).hexdigest()}"


def _encoded(value: object) -> bytes:
    # Not orjson, which refuses the integers past 64 bits that a document may hold.
    return json.dumps(value, ensure_ascii=False).encode()
