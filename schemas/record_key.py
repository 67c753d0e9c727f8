"""Which chat a record's key names. Pure.

Understood are the chat_id as bare UTF-8 text, as a JSON string, and as the member `chat_id` of a JSON object, as
Debezium writes keys; each with or without a Confluent frame around it.

Invariant: a key in another form names no chat, rather than one that nobody has.
"""

from typing import Final

import jiter

from schemas.chat_event import MAX_CHAT_ID_CHARACTERS
from schemas.confluent_frame import without_frame

MAX_KEY_BYTES: Final = 16_384
"""A longer key is no chat_id, whatever is around it: a chat_id has at most 1,024 bytes, 6 for each when escaped."""


def chat_of_key(key: bytes | None) -> str | None:
    """Return the chat_id that a record's key names, None where it names none."""
    if not key or len(key) > MAX_KEY_BYTES:
        return None
    try:
        text = without_frame(key).decode()
    except UnicodeDecodeError:
        return None
    # Numbers of Java's serialisers and Avro's strings are mostly valid UTF-8 too, with a NUL or a length before them.
    if text[:1] < " ":
        return None
    chat_id = _in_json(text) if text[0] in '"{' else text
    return chat_id if isinstance(chat_id, str) and 0 < len(chat_id) <= MAX_CHAT_ID_CHARACTERS else None


def _in_json(text: str) -> object:
    try:
        found = jiter.from_json(text.encode(), allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError:
        # A chat_id may begin with a quote or a brace.
        return text
    if not isinstance(found, dict):
        return found
    # Kafka Connect's JSON converter puts its schema beside what it writes.
    inner = found.get("payload") if "schema" in found else found
    return inner.get("chat_id") if isinstance(inner, dict) else inner
