"""Ledger entries and answers for tests."""

from datetime import UTC, datetime

from deploy.demo.account import DeadLetterSeen, DemoAccount, VerdictSeen
from deploy.demo.events import Kind, Phase, Publication
from deploy.demo.model_in_use import ModelInUse
from schemas import CHAT_13, Decision, RejectionReason, category_label
from testkit.records import Place
from testkit.topics import Topics

MODEL = ModelInUse(CHAT_13, CHAT_13.banned)


def new_account() -> DemoAccount:
    """Return an account without an entry."""
    return DemoAccount(Topics("broker:1", "chat-events", "verdicts", "chat-events.dlq", "group", 3))


def place(offset: int) -> Place:
    """Return a place on the input topic."""
    return Place("chat-events", 0, offset)


def publish(
    ledger: DemoAccount, offset: int, *, kind: Kind = Kind.CHAT, phase: Phase = Phase.BACKLOG, label: str | None = None
) -> None:
    """Hand a record over and acknowledge it."""
    ledger.hand_over()
    ledger.acknowledge(place(offset), Publication(kind, b"key", b"{}", label), phase)


def verdict(
    offset: int,
    *,
    code: str = "A",
    decision: Decision = Decision.ALLOW,
    cache_hit: bool = False,
    latency_ms: float = 10.0,
) -> VerdictSeen:
    """Return the verdict on the record at this offset."""
    return VerdictSeen(
        place=place(offset),
        latency_ms=latency_ms,
        chat_id=f"chat-{offset}",
        category=category_label(code, CHAT_13),
        decision=decision,
        risk=0.1,
        cache_hit=cache_hit,
        decided_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def dead_letter(offset: int, reason: RejectionReason = RejectionReason.DECODE_ERROR) -> DeadLetterSeen:
    """Return the dead letter of the record at this offset."""
    return DeadLetterSeen(place(offset), 5.0, reason, datetime(2026, 1, 1, tzinfo=UTC))
