"""The list of erased chats: it can be asked about a chat, and tells of none."""

import hashlib
import hmac
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from schemas.erasure import ErasedChats, Erasure, chat_hash, decode_erasure, encode_erasure

KEY, LATER_KEY = b"k" * 32, b"l" * 32
ERASED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_chats_hash_is_an_hmac_that_any_language_can_make() -> None:
    """Whoever writes or reads the topics need not be Python."""
    assert chat_hash("chat-é", KEY) == hmac.new(KEY, "chat-é".encode(), hashlib.sha256).hexdigest()


def test_the_hash_needs_the_key() -> None:
    """An unkeyed digest of short ids can be tried out one by one."""
    assert chat_hash("chat-1", KEY) not in {chat_hash("chat-1", LATER_KEY), hashlib.sha256(b"chat-1").hexdigest()}


def test_a_record_says_when_and_names_no_chat() -> None:
    """What is kept for good must hold no id."""
    erasure = Erasure(chat_hash=chat_hash("chat-1", KEY), erased_at=ERASED_AT)
    raw = encode_erasure(erasure)
    assert decode_erasure(raw) == erasure
    assert b"chat-1" not in raw
    assert b'"erased_at":"2026-01-02T03:04:05.000000Z"' in raw


@pytest.mark.parametrize("name", ["chat-1", "", "AB" * 32, "ab" * 31])
def test_a_record_with_an_id_in_place_of_a_hash_is_refused(name: str) -> None:
    """A writer that takes one for the other would put ids on a list that is kept for good."""
    with pytest.raises(ValidationError):
        Erasure(chat_hash=name, erased_at=ERASED_AT)


def test_chats_are_found_under_the_key_of_now_and_the_one_before() -> None:
    """After a change of the key the older hashes stand for their chats as before."""
    erased = ErasedChats((LATER_KEY, KEY), [chat_hash("old", KEY), chat_hash("new", LATER_KEY)])
    assert ("old" in erased, "new" in erased, "other" in erased, len(erased)) == (True, True, False, 2)
    assert "old" not in ErasedChats((LATER_KEY,), [chat_hash("old", KEY)])
