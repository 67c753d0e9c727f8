"""Overrides and their records, as the tests of this folder share them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from confluent_kafka import Message

from schemas import Decision, Override, OverrideScope, Source, encode_override
from tests.worker.payloads import event
from worker.kafka.topic_scan import ScannedRecord

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def override(chat_id: str = "chat-7", **fields: Any) -> Override:
    """Return a block of a whole chat, decided now on its record 7 of partition 0, with `fields` laid over it."""
    complete: dict[str, Any] = {
        "chat_id": chat_id,
        "policy": "*",
        "scope": OverrideScope.CHAT,
        "decision": Decision.BLOCK,
        "content_fingerprint": event(7).fingerprint,
        "decided_at": NOW,
        "actor": "reviewer-7",
        "reason": "abuse",
        "source": Source(topic="chat-events", partition=0, offset=7, timestamp_ms=1_007),
        "revision": 1,
        **fields,
    }
    return Override(**complete)


def allow(chat_id: str = "chat-7", **fields: Any) -> Override:
    """Return an allow of what the chat says on its record 7, for a day."""
    given = {"scope": OverrideScope.FINGERPRINT, "expires_at": NOW + timedelta(hours=24), **fields}
    return override(chat_id, decision=Decision.ALLOW, **given)


def scanned(key: bytes | None, value: bytes | None, *, offset: int = 0, topic: str = "overrides") -> ScannedRecord:
    """Return a record as it lies on a topic."""
    return ScannedRecord(
        Message(topic=topic, partition=0, offset=offset, key=key, value=value, timestamp=(1, 1_000 + offset))
    )


def written(one: Override, signing_key: bytes | None = None) -> ScannedRecord:
    """Return the record of an override."""
    return scanned(one.key, encode_override(one, signing_key))
