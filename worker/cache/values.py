"""What stands in a chat's key, and what of it is believed.

A cached value is a hint. Whoever can write Redis could otherwise publish through the worker: so a value is believed
only where it is short, of this chat, a verdict and, with a signing key, signed; what it says is then recomputed from
its probabilities (`worker.verdict_builder`).

A signed value is the JSON with one more member, the last: `"mac"`, the HMAC-SHA256 over key and value. It says that a
worker wrote these bytes under this key at some time, not that they are the newest.
"""

import hmac
from collections.abc import Sequence
from typing import Final

from pydantic import ValidationError

from schemas import RejectionMarker, Verdict, decode_marker
from worker.cache.decisions import decode_cached_verdict
from worker.cache.entries import MAX_VALUE_BYTES

KEY_PREFIX: Final = "verdict:"

_MAC_BEGIN: Final = b',"mac":"'
_MAC_END: Final = b'"}'
_MAC_BYTES: Final = 64
"""Hexadecimal digits of an HMAC-SHA256."""
_TAIL_BYTES: Final = len(_MAC_BEGIN) + _MAC_BYTES + len(_MAC_END)
MAX_STORED_BYTES: Final = MAX_VALUE_BYTES + _TAIL_BYTES


def cache_key(chat_id: str, prefix: str = KEY_PREFIX) -> str:
    """Return the Redis key of a chat (contract)."""
    return f"{prefix}{chat_id}"


class ValueRefused(Exception):  # noqa: N818  the name says what happened
    """A cached value is not believed: it reads as a miss.

    Args:
        reason: Label of the metric.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CacheValues:
    """Keys and values as Redis holds them.

    Args:
        prefix: What precedes the chat_id in a key.
        signing_keys: The first signs, each of them is accepted; without any, nothing is signed and no MAC is looked at.
    """

    def __init__(self, prefix: str = KEY_PREFIX, signing_keys: Sequence[bytes] = ()) -> None:
        self._prefix = prefix
        self._signing_keys = tuple(signing_keys)

    def key(self, chat_id: str) -> str:
        """Return the key of a chat."""
        return cache_key(chat_id, self._prefix)

    def stored(self, chat_id: str, value: bytes) -> bytes:
        """Return what is stored of a verdict's or marker's JSON: the same, signed where there is a key."""
        if not self._signing_keys:
            return value
        mac = self._mac(self._signing_keys[0], chat_id, value)
        return b"".join((value[:-1], _MAC_BEGIN, mac, _MAC_END))

    def read(self, chat_id: str, raw: object) -> Verdict | RejectionMarker:
        """Return what a stored value says of a chat.

        Args:
            chat_id: The chat that was asked for.
            raw: The value; where it is too long its length; the error where the key is of another type.

        Raises:
            ValueRefused: it is too long, unsigned, neither verdict nor marker, or of another chat.
        """
        if not isinstance(raw, bytes):
            raise ValueRefused("too_large" if isinstance(raw, int) else "wrong_type")
        if len(raw) > MAX_STORED_BYTES:
            raise ValueRefused("too_large")
        if self._signing_keys and not self._is_signed(chat_id, raw):
            raise ValueRefused("mac")
        found = _parse(raw)
        if found.chat_id != chat_id:
            raise ValueRefused("chat")
        return found

    def _is_signed(self, chat_id: str, raw: bytes) -> bool:
        value, tail = raw[:-_TAIL_BYTES] + b"}", raw[-_TAIL_BYTES:]
        if not (tail.startswith(_MAC_BEGIN) and tail.endswith(_MAC_END)):
            return False
        mac = tail[len(_MAC_BEGIN) : -len(_MAC_END)]
        return any(hmac.compare_digest(mac, self._mac(key, chat_id, value)) for key in self._signing_keys)

    def _mac(self, signing_key: bytes, chat_id: str, value: bytes) -> bytes:
        key = self.key(chat_id).encode()
        # With the length of the key, no two pairs of key and value are the same bytes.
        return hmac.digest(signing_key, b"%d\n%b%b" % (len(key), key, value), "sha256").hex().encode()


def _parse(raw: bytes) -> Verdict | RejectionMarker:
    try:
        return decode_cached_verdict(raw)
    except ValidationError:
        try:
            return decode_marker(raw)
        except ValidationError:
            raise ValueRefused("unreadable") from None
