"""Which chat a record is of: pure. As the worker's dead letters and markers have it."""

from schemas import CodecLimits, RecordRejected, ValueFormat, chat_of_key, parse_event_in
from schemas.codec import readable_chat_id


def chat_of(key: bytes | None, value: bytes | None, limits: CodecLimits, value_format: ValueFormat) -> str | None:
    """Return the chat of an input record: what its value says, else what its key names."""
    try:
        chat_id = readable_chat_id(parse_event_in(value, limits, value_format))
    except RecordRejected as rejected:
        chat_id = rejected.chat_id
    return chat_of_key(key) if chat_id is None else chat_id


def erases(value: bytes | None, limits: CodecLimits, value_format: ValueFormat) -> bool:
    """Say whether an input record asks that its chat be forgotten: a tombstone, or what is taken for one."""
    if value is None or value_format is ValueFormat.JSON:
        return value is None
    try:
        parse_event_in(value, limits, value_format)
    except RecordRejected as rejected:
        return rejected.erases
    return False
