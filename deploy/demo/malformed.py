"""Input that no verdict can be given on, with the reason code each piece must end with."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from schemas import RejectionReason
from schemas.chat_event import MAX_CHAT_ID_CHARACTERS


class Malformed(NamedTuple):
    """One bad record value and the reason it must be dead-lettered for."""

    value: bytes | None
    reason: RejectionReason


_MORE_BYTES_THAN_ACCEPTED: Final = 2_100_000
_NESTED_BRACKETS: Final = 100_000

MALFORMED: Final[Mapping[str, Malformed]] = MappingProxyType(
    {
        "no-json": Malformed(b"this is no JSON", RejectionReason.DECODE_ERROR),
        "truncated": Malformed(b'{"chat_id": "truncated", "messages": [{"role": "us', RejectionReason.DECODE_ERROR),
        "invalid-utf-8": Malformed(b'{"chat_id": "\xff\xfe"}', RejectionReason.DECODE_ERROR),
        "no-value": Malformed(None, RejectionReason.DECODE_ERROR),
        "nested": Malformed(b"[" * _NESTED_BRACKETS, RejectionReason.DECODE_ERROR),
        "no-chat-id": Malformed(b'{"messages": [{"role": "user", "content": "hi"}]}', RejectionReason.SCHEMA_ERROR),
        "unknown-role": Malformed(
            b'{"chat_id": "unknown-role", "messages": [{"role": "robot", "content": "hi"}]}',
            RejectionReason.SCHEMA_ERROR,
        ),
        "unknown-version": Malformed(
            b'{"chat_id": "unknown-version", "schema_version": 99, "query": "hi"}', RejectionReason.SCHEMA_ERROR
        ),
        "long-chat-id": Malformed(
            b'{"chat_id": "%s", "query": "hi"}' % (b"x" * (MAX_CHAT_ID_CHARACTERS + 1)), RejectionReason.SCHEMA_ERROR
        ),
        "no-messages": Malformed(b'{"chat_id": "no-messages", "messages": []}', RejectionReason.EMPTY_CONVERSATION),
        "zero-width": Malformed(
            b'{"chat_id": "zero-width", "query": "\\u200b\\u200d\\ufeff"}', RejectionReason.EMPTY_CONVERSATION
        ),
        "too-large": Malformed(
            b'{"chat_id": "too-large", "query": "%s"}' % (b"a" * _MORE_BYTES_THAN_ACCEPTED), RejectionReason.TOO_LARGE
        ),
    }
)
"""By record key."""
