"""Deterministic names: the fingerprint of a conversation and the id of a verdict."""

import hashlib
from collections.abc import Iterable
from functools import lru_cache

from schemas.chat_event import ChatEvent, Role
from schemas.visible_text import Turn, conversation_turns

_DIGEST_BYTES = 16

_TURN_HEADS = {role: role.value.encode() + b" %d\n" for role in Role}
"""What precedes a turn's text: its role and its length in bytes."""


def content_fingerprint(event: ChatEvent) -> str:
    """Return the digest of the conversation's roles and texts, 32 hex digits."""
    return turns_fingerprint(conversation_turns(event))


def turns_fingerprint(turns: Iterable[Turn]) -> str:
    """Return the content fingerprint of the event that these are the turns of.

    Message ids and clocks are left out: an upstream retry that renumbers messages is the same
    content. Lengths are part of the digest, so that no two different conversations read as the
    same sequence of bytes.
    """
    parts: list[bytes] = []
    for role, text in turns:
        encoded = text.encode()
        parts += (_TURN_HEADS[role] % len(encoded), encoded)
    return hashlib.blake2b(b"".join(parts), digest_size=_DIGEST_BYTES, person=b"vs-content-1").hexdigest()


def verdict_id(*, chat_id: str, fingerprint: str, model_digest: str, policy_name: str, policy_version: str) -> str:
    """Return the verdict's id, 32 hex digits: a function of content, model and policy alone."""
    named = _framed(chat_id, fingerprint) + _often_framed(model_digest, policy_name, policy_version)
    return hashlib.blake2b(named, digest_size=_DIGEST_BYTES, person=b"vs-verdict-1").hexdigest()


def _framed(*parts: str) -> bytes:
    """Return texts one after the other, each with its length in bytes, so that no two lists are the same bytes."""
    return b"".join([b"%d\n%b" % (len(encoded), encoded) for encoded in map(str.encode, parts)])


_often_framed = lru_cache(maxsize=64)(_framed)
"""For what the verdicts of one model under one policy share."""
