"""Deterministic names: the fingerprint of a conversation and the id of a verdict."""

import hashlib

from schemas.chat_event import ChatEvent
from schemas.visible_text import conversation_turns

_DIGEST_BYTES = 16


def content_fingerprint(event: ChatEvent) -> str:
    """Return the digest of the conversation's roles and texts, 32 hex digits.

    Message ids and clocks are left out: an upstream retry that renumbers messages is the same
    content. Lengths are part of the digest, so that no two different conversations read as the
    same sequence of bytes.
    """
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, person=b"vs-content-1")
    for role, text in conversation_turns(event):
        encoded = text.encode()
        digest.update(b"%s %d\n" % (role.value.encode(), len(encoded)))
        digest.update(encoded)
    return digest.hexdigest()


def verdict_id(*, chat_id: str, fingerprint: str, model_digest: str, policy_name: str, policy_version: str) -> str:
    """Return the verdict's id, 32 hex digits: a function of content, model and policy alone."""
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES, person=b"vs-verdict-1")
    for part in (chat_id, fingerprint, model_digest, policy_name, policy_version):
        encoded = part.encode()
        digest.update(b"%d\n" % len(encoded))
        digest.update(encoded)
    return digest.hexdigest()
