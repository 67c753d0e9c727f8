"""The frame of Confluent's serialisers: a zero byte and the id of a schema, four bytes, before what was serialised.

JSON never begins with a zero byte, so a frame is told from a value without one.
"""

from typing import Final

FRAME_BYTES: Final = 5


def schema_id(raw: bytes) -> int | None:
    """Return the schema's id of what is framed, 1 or more; None where there is no frame."""
    if raw[:1] != b"\0" or len(raw) <= FRAME_BYTES:
        return None
    # No registry gives a schema the id 0, and small numbers of eight bytes begin with zeros.
    return int.from_bytes(raw[1:FRAME_BYTES], "big") or None


def without_frame(raw: bytes) -> bytes:
    """Return what is framed; what has no frame is returned as it is."""
    return raw if schema_id(raw) is None else raw[FRAME_BYTES:]
