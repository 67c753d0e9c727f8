"""What stands in a chat's key, and what of it is believed."""

from pydantic import ValidationError

from schemas import decode_marker


def is_marker(raw: bytes) -> bool:
    """Say whether a cached value says that the chat's newest record was rejected."""
    try:
        decode_marker(raw)
    except ValidationError:
        return False
    return True
