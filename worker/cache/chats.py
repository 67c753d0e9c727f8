"""Which chat a record is of: pure. As the worker's dead letters and markers have it."""

from schemas import CodecLimits, RecordRejected, parse_event
from schemas.chat_event import MAX_CHAT_ID_CHARACTERS
from worker.cache.entries import chat_of_key


def chat_of(key: bytes | None, value: bytes | None, limits: CodecLimits) -> str | None:
    """Return the chat of an input record: what its value says, else its key where that can be a chat_id."""
    try:
        chat_id = parse_event(value, limits).get("chat_id")
    except RecordRejected as rejected:
        chat_id = rejected.chat_id
    if isinstance(chat_id, str) and 0 < len(chat_id) <= MAX_CHAT_ID_CHARACTERS:
        return chat_id
    return chat_of_key(key)
