"""Bodies and rows, as the tests of the outbox share them."""

from collections.abc import Sequence
from typing import Any

from console.store.outbox_rows import Body, FeedbackBody, Kind, OverrideClearBody, OverrideSetBody, put
from console.store.store import Store
from schemas import Decision, Source, TaxonomyRef

CHAT = "chat-7"
SOURCE = Source(topic="chat-events", partition=0, offset=7, timestamp_ms=1_007)
NOW = 1_800_000_000_000
"""Milliseconds since 1970."""


def block(chat_id: str = CHAT, **fields: Any) -> OverrideSetBody:
    """Return a block of a whole chat, decided now, with `fields` laid over it."""
    given: dict[str, Any] = {
        "verdict_id": "0f" * 16,
        "chat_id": chat_id,
        "fingerprint": "1e" * 16,
        "source": SOURCE,
        "decision": Decision.BLOCK,
        "actor": "reviewer-7",
        "reason": "abuse",
        "decided_ms": NOW,
        **fields,
    }
    return OverrideSetBody(**given)


def allow(chat_id: str = CHAT, **fields: Any) -> OverrideSetBody:
    """Return an allow of what the chat says, for a day."""
    return block(chat_id, decision=Decision.ALLOW, **fields)


def clear(chat_id: str = CHAT, **fields: Any) -> OverrideClearBody:
    """Return that whatever stands on a chat is taken back."""
    given: dict[str, Any] = {"chat_id": chat_id, "policy": None, "actor": "reviewer-8", "reason": "mistake", **fields}
    return OverrideClearBody(**given)


def report(**fields: Any) -> FeedbackBody:
    """Return a report that a verdict should have been `allow`."""
    given: dict[str, Any] = {
        "verdict_id": "0f" * 16,
        "source": SOURCE,
        "fingerprint": "1e" * 16,
        "taxonomy": TaxonomyRef(name="chat-13", version="1"),
        "decision": Decision.ALLOW,
        "reporter": "reviewer-7",
        "reported_ms": NOW,
        **fields,
    }
    return FeedbackBody(**given)


KINDS: dict[type[Body], Kind] = {
    OverrideSetBody: Kind.OVERRIDE_SET,
    OverrideClearBody: Kind.OVERRIDE_CLEAR,
    FeedbackBody: Kind.FEEDBACK,
}


def put_rows(store: Store, bodies: Sequence[Body], decision_id: str, *, not_before_ms: int = NOW) -> list[int]:
    """Put rows of one decision in one transaction; return their numbers."""
    with store.writing() as connection:
        return [
            put(
                connection,
                KINDS[type(body)],
                decision_id,
                body,
                chat_id=getattr(body, "chat_id", None),
                chat_hash=None,
                not_before_ms=not_before_ms,
            )
            for body in bodies
        ]


def put_row(store: Store, body: Body, decision_id: str, *, not_before_ms: int = NOW) -> int:
    """Put a row in a transaction of its own; return its number."""
    (row_id,) = put_rows(store, [body], decision_id, not_before_ms=not_before_ms)
    return row_id
