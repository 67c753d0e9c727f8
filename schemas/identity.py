"""Deterministic names: the fingerprint of a conversation, the digest of policies, the id of a verdict."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from functools import lru_cache
from typing import Final

import orjson

from schemas.chat_event import ChatEvent, Role
from schemas.policy import Policy
from schemas.verdict import IN_PLACE_OF_A_POLICY, PolicyDecision, PreviousDecision, wire_time
from schemas.visible_text import Turn, conversation_turns

RULES_VERSION: Final = "1"
"""Version of the rules outside the bundle by which a text becomes probabilities: which text is seen, how it is cut."""

_LATER_FIELDS: Final = {
    "unevaluated",
    "languages",
    "max_message_characters",
    "hold_block_s",
    "enforcement",
    "requested_by",
    "valid_from",
    "valid_until",
}
"""Fields of a policy that its first digests did not know."""

_NO_DECISIONS: Final[Mapping[str, PolicyDecision]] = {}

_DIGEST_BYTES = 16

_TURN_HEADS = {role: role.value.encode() + b" %d\n" for role in Role}
"""What precedes a turn's text: its role and its length in bytes."""


def content_fingerprint(event: ChatEvent) -> str:
    """Return the digest of the conversation's roles and texts, 32 hex digits."""
    return turns_fingerprint(conversation_turns(event))


def turns_fingerprint(turns: Iterable[Turn], *, holds_unread: bool = False) -> str:
    """Return the content fingerprint of the event that these are the turns of.

    Message ids and clocks are left out: an upstream retry that renumbers messages is the same
    content. Lengths are part of the digest, so that no two different conversations read as the
    same sequence of bytes.

    Args:
        turns: All that have visible text.
        holds_unread: Whether the messages hold pictures, sound or files besides: the same text without them is
            decided otherwise.
    """
    parts: list[bytes] = []
    for role, text in turns:
        encoded = text.encode()
        parts += (_TURN_HEADS[role] % len(encoded), encoded)
    if holds_unread:
        # No turn begins like this.
        parts.append(b"unread\n")
    return hashlib.blake2b(b"".join(parts), digest_size=_DIGEST_BYTES, person=b"vs-content-1").hexdigest()


def verdict_id(
    *,
    chat_id: str,
    fingerprint: str,
    model_digest: str,
    rules_version: str,
    policies_digest: str,
    previous: PreviousDecision | None = None,
    override_revision: int = 0,
    decisions: Mapping[str, PolicyDecision] = _NO_DECISIONS,
    listed: str = "",
) -> str:
    """Return the verdict's id, 32 hex digits: a function of all that its decisions depend on.

    Args:
        chat_id: The chat.
        fingerprint: Of the conversation's content.
        model_digest: Of the bundle.
        rules_version: See `RULES_VERSION`.
        policies_digest: See `policies_digest`.
        previous: The earlier decision that bears on this one.
        override_revision: 0 where no person decided.
        decisions: The verdict's, by policy. Where `previous` or a person bears on it, those that they gave count: of
            two holds or two overrides the newer one names the verdict, and the older one may end before it.
        listed: `deny` or `allow` where the chat is on such a list, else empty.
    """
    named = _framed(chat_id, fingerprint) + _often_framed(model_digest, rules_version, policies_digest)
    if previous is not None or override_revision:
        earlier = ("",) if previous is None else (previous.decision, previous.offset, wire_time(previous.decided_at))
        given = sorted((name, said) for name, said in decisions.items() if said.decided_by in IN_PLACE_OF_A_POLICY)
        words = [word for name, said in given for word in (name, said.decision, said.decided_by)]
        named += _framed(str(override_revision), *map(str, earlier), *words)
    if listed:
        named += _framed("listed", listed)
    return hashlib.blake2b(named, digest_size=_DIGEST_BYTES, person=b"vs-verdict-2").hexdigest()


def policies_digest(policies: Iterable[Policy], *, not_in_force: Collection[str] = ()) -> str:
    """Return the digest of a set of policies, `sha256:` and 64 hex digits, in whatever order they come.

    Args:
        policies: All that decide, the floor's too.
        not_in_force: Names of those outside their validity, which decide otherwise then.
    """
    documents = sorted((policy.name, orjson.dumps(_said(policy), option=orjson.OPT_SORT_KEYS)) for policy in policies)
    outside = [b"not in force: " + orjson.dumps(sorted(not_in_force))] if not_in_force else []
    digest = hashlib.sha256(b"\n".join([*(document for _, document in documents), *outside]))
    return f"sha256:{digest.hexdigest()}"


def _said(policy: Policy) -> dict[str, object]:
    """Return what a policy says, without what it could say and does not: a new field changes no digest."""
    return policy.model_dump(mode="json", exclude=_LATER_FIELDS) | policy.model_dump(
        mode="json", include=_LATER_FIELDS, exclude_defaults=True
    )


def _framed(*parts: str) -> bytes:
    """Return texts one after the other, each with its length in bytes, so that no two lists are the same bytes."""
    return b"".join([b"%d\n%b" % (len(encoded), encoded) for encoded in map(str.encode, parts)])


_often_framed = lru_cache(maxsize=64)(_framed)
"""For what the verdicts of one model under one set of policies share."""
