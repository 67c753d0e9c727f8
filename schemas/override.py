"""The override: what a person decided on a chat, as it lies on its compacted topic. It holds no chat text.

Invariant: a key names chat, policy and scope, so that the topic keeps the newest word on these three, and no other.
"""

import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Final, Self

import orjson
from pydantic import Field, StringConstraints, ValidationError, WithJsonSchema, model_validator

from schemas.verdict import Decision, Int64, Source, WireModel, WireTime

OVERRIDE_SCHEMA_VERSION: Final = 1
ALLOW_LASTS: Final = timedelta(hours=24)
"""How long an `allow` counts unless whoever decided said something else."""

REVISION_AHEAD: Final = timedelta(days=1)
"""How far a revision may be ahead of the clock: no clock is that wrong, and above a higher one nobody could decide."""

ReasonCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
"""A code of the operator's own, never free text."""
ActorId = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,128}$")]
"""An opaque id of whoever decided: printable ASCII without blanks."""


class OverrideScope(StrEnum):
    """What of a chat an override speaks of."""

    FINGERPRINT = "fingerprint"
    """The chat as long as it says just this."""
    CHAT = "chat"
    """The chat, whatever it says."""


_SCOPE: Final = {"type": "string", "enum": [scope.value for scope in OverrideScope]}
"""Written out where it stands, as `kind` of a verdict is."""


class Override(WireModel):
    """One decision of a person. A record without a value takes it back."""

    schema_version: int = Field(
        default=OVERRIDE_SCHEMA_VERSION,
        ge=OVERRIDE_SCHEMA_VERSION,
        le=OVERRIDE_SCHEMA_VERSION,
        description="Major version; a reader leaves one alone that it does not know.",
    )
    chat_id: str = Field(min_length=1, max_length=256)
    policy: str = Field(min_length=1, max_length=64, description="Name of a policy; `*`: every policy.")
    scope: Annotated[OverrideScope, WithJsonSchema(_SCOPE)] = Field(
        description="`fingerprint`: only while the chat's content is `content_fingerprint`; `chat`: whatever it says."
    )
    decision: Decision
    content_fingerprint: str | None = Field(default=None, description="Of the event that it answers.")
    decided_at: WireTime
    expires_at: WireTime | None = Field(
        default=None, description="From then on it counts no longer. Null: until it is taken back; never for an allow."
    )
    actor: ActorId = Field(description="Who decided: an opaque id.")
    reason: ReasonCode = Field(description="Why: a code.")
    verdict_id: str | None = Field(default=None, description="Of the verdict that it answers.")
    source: Source = Field(description="The input record that it answers; a verdict on it follows.")
    revision: Int64 = Field(
        ge=1, description="Grows with every decision on the chat; verdicts name it as `override_revision`."
    )
    signature: str | None = Field(
        default=None, description="HMAC-SHA256 over key and content, 64 hex digits; needed where workers hold a key."
    )

    @model_validator(mode="after")
    def _is_bounded(self) -> Self:
        if self.scope is OverrideScope.FINGERPRINT and self.content_fingerprint is None:
            raise ValueError("scope is fingerprint without content_fingerprint; expected the one that was looked at")
        if self.decision is Decision.ALLOW and self.expires_at is None:
            raise ValueError("an allow without expires_at; expected a time, 24 hours later unless another is meant")
        if self.expires_at is not None and self.expires_at <= self.decided_at:
            raise ValueError("expires_at is not after decided_at; expected a later time")
        return self

    @property
    def key(self) -> bytes:
        """The record's key."""
        return override_key(self.chat_id, self.policy, self.scope)


def override_key(chat_id: str, policy: str, scope: OverrideScope) -> bytes:
    """Return the key of an override: a JSON object, of which `schemas.chat_of_key` reads the chat."""
    return orjson.dumps({"chat_id": chat_id, "policy": policy, "scope": scope.value})


class OverrideRefused(Exception):  # noqa: N818  the name says what happened
    """A record of the topic counts for nothing.

    Args:
        reason: `unreadable`, `key` (another one than its content asks for), `unsigned`, `signature`, or `revision`
            (further ahead of the clock than `REVISION_AHEAD`).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REFUSALS: Final = ("unreadable", "key", "unsigned", "signature", "revision")
"""Every reason."""


def encode_override(override: Override, signing_key: bytes | None = None) -> bytes:
    """Encode an override as UTF-8 JSON, signed where there is a key."""
    document = override.model_dump(mode="json")
    document["signature"] = None if signing_key is None else _signature(override.key, document, signing_key)
    return orjson.dumps(document)


def highest_revision(now: datetime) -> int:
    """Return the highest revision that counts at a time."""
    return round((now + REVISION_AHEAD).timestamp() * 1_000)


def decode_override(
    key: bytes | None, raw: bytes, signing_keys: Sequence[bytes] = (), *, now: datetime | None = None
) -> Override:
    """Decode a record's value.

    Args:
        key: The record's key.
        raw: Its value.
        signing_keys: Each is accepted; without any, no signature is looked at.
        now: The clock, before which no revision may be far; None: any revision is accepted.

    Raises:
        OverrideRefused: it is none of this version, lies under another key, is not signed by one of the keys, or has a
            revision that no clock gave it.
    """
    try:
        document = orjson.loads(raw)
        override = Override.model_validate(document)
    except (orjson.JSONDecodeError, ValidationError):
        raise OverrideRefused("unreadable") from None
    if key != override.key:
        raise OverrideRefused("key")
    if signing_keys:
        if override.signature is None:
            raise OverrideRefused("unsigned")
        # Over all members, also those that a later version adds.
        expected = [_signature(override.key, document, one) for one in signing_keys]
        if not any(hmac.compare_digest(override.signature.encode(), one.encode()) for one in expected):
            raise OverrideRefused("signature")
    if now is not None and override.revision > highest_revision(now):
        raise OverrideRefused("revision")
    return override


def _signature(key: bytes, document: dict[str, object], signing_key: bytes) -> str:
    content = orjson.dumps(
        {name: value for name, value in document.items() if name != "signature"}, option=orjson.OPT_SORT_KEYS
    )
    # With the length of the key, no two pairs of key and content are the same bytes.
    return hmac.digest(signing_key, b"%d\n%b%b" % (len(key), key, content), "sha256").hex()
