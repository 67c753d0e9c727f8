"""Chats that were erased: records that say so without naming a chat, and who asks them.

A chat is named by a keyed hash of its id. Whoever has the key can ask whether a given chat is among them; nobody can
list the chats, and without the key nobody can try ids one after the other.
"""

import hmac
from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from pydantic import Field

from schemas.verdict import WireModel, WireTime

ERASURE_SCHEMA_VERSION: Final = 1

ChatHash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="HMAC-SHA256 of the chat_id as UTF-8.")]


def chat_hash(chat_id: str, key: bytes) -> str:
    """Return the keyed hash that stands for a chat: 64 hexadecimal digits.

    Args:
        chat_id: The chat.
        key: The deployment's, at least 32 bytes; under another one the same chat has another hash.
    """
    return hmac.digest(key, chat_id.encode(), "sha256").hex()


class Erasure(WireModel):
    """Says that a chat was erased. Key of its record: `chat_hash`."""

    schema_version: int = Field(default=ERASURE_SCHEMA_VERSION, ge=1, le=ERASURE_SCHEMA_VERSION)
    chat_hash: ChatHash
    erased_at: WireTime = Field(description="When it was asked for.")


class ErasedChats:
    """The chats that were erased, to be asked about one at a time.

    Args:
        keys: Those under which hashes were made, the present one first.
        hashes: Of the chats.
    """

    def __init__(self, keys: Sequence[bytes], hashes: Iterable[str]) -> None:
        self._keys = tuple(keys)
        self._hashes = frozenset(hashes)

    def __contains__(self, chat_id: str) -> bool:
        """Say whether a chat was erased."""
        return bool(self._hashes) and any(chat_hash(chat_id, key) in self._hashes for key in self._keys)

    def __len__(self) -> int:
        """Return how many hashes there are; a chat that was erased under two keys has two."""
        return len(self._hashes)


def encode_erasure(erasure: Erasure) -> bytes:
    """Return a record's value."""
    return erasure.model_dump_json().encode()


def decode_erasure(raw: bytes) -> Erasure:
    """Return what a record's value says; unknown fields are ignored.

    Raises:
        ValidationError: it is no erasure, or of a version that this release does not know.
    """
    return Erasure.model_validate_json(raw)
