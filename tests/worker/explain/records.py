"""Records of the output topics as the client gives them, without a broker, and verdicts of the shipped bundle."""

from typing import Any, cast

import orjson
from confluent_kafka import Message

from model import Bundle, DecisionRule
from schemas import CHAT_13, DeadLetter, PolicyRef, RejectionReason, Source, Verdict, category_label, encode_verdict
from tests.schemas.payloads import make_verdict
from worker.kafka.topic_scan import ScannedRecord

CHAT = "chat-1"
FINGERPRINT = "1e" * 16


class StandInMessage:
    """A message without a client."""

    def __init__(self, place: tuple[str, int, int], key: bytes | None, value: bytes | None, **more: Any) -> None:
        self._place, self._key, self._value = place, key, value
        self._timestamp_ms: int = more.get("timestamp_ms", 1_000 + place[2])
        self._headers = more.get("headers", [])

    def topic(self) -> str:
        """Return where it lies."""
        return self._place[0]

    def partition(self) -> int:
        """Return where it lies."""
        return self._place[1]

    def offset(self) -> int:
        """Return where it lies."""
        return self._place[2]

    def timestamp(self) -> tuple[int, int]:
        """Return kind and time."""
        return 1, self._timestamp_ms

    def key(self) -> bytes | None:
        """Return the key."""
        return self._key

    def value(self) -> bytes | None:
        """Return the value."""
        return self._value

    def headers(self) -> list[tuple[str, bytes]]:
        """Return the headers."""
        return list(self._headers)


def record(
    topic: str, partition: int, offset: int, key: bytes | None, value: bytes | None, **more: Any
) -> ScannedRecord:
    """Return a record as a scan gives it."""
    return ScannedRecord(cast("Message", StandInMessage((topic, partition, offset), key, value, **more)))


def source(offset: int) -> Source:
    """Return an input record."""
    return Source(topic="chat-events", partition=0, offset=offset, timestamp_ms=1_000 + offset)


def verdict_record(offset: int, *, partition: int = 0, chat_id: str = CHAT, **fields: Any) -> ScannedRecord:
    """Return a record of the verdict topic, on the input record with the same offset."""
    verdict = make_verdict(**{"chat_id": chat_id, "source": source(offset), **fields})
    return record("verdicts", partition, offset, chat_id.encode(), encode_verdict(verdict))


def letter_record(
    offset: int, *, partition: int = 0, key: bytes | None = CHAT.encode(), is_tombstone: bool = False
) -> ScannedRecord:
    """Return a record of the dead-letter topic, on the input record with the same offset."""
    letter = DeadLetter(
        reason=RejectionReason.SCHEMA_ERROR,
        error="messages: a string; expected a list",
        origin_topic="chat-events",
        origin_partition=0,
        origin_offset=offset,
        origin_timestamp_ms=1_000 + offset,
    )
    value = None if is_tombstone else orjson.dumps({"chat_id": CHAT, "messages": "no list"})
    return record("chat-events.dlq", partition, offset, key, value, headers=letter.to_headers())


def judged(bundle: Bundle, evidence: dict[str, float], **fields: Any) -> Verdict:
    """Return the verdict that a bundle's default policy gives on evidence; what is left out of it is little."""
    rule = DecisionRule(bundle.default_policy, bundle.risk_curves(bundle.default_policy))
    complete = dict.fromkeys(CHAT_13.codes, 0.0) | evidence
    category = fields.pop("category", max(complete, key=lambda code: complete[code]))
    said = rule.judgement(complete, category=category, unevaluated=fields.get("unevaluated", ()))
    policy = bundle.default_policy
    return make_verdict(
        probabilities=complete,
        category=category_label(category, CHAT_13),
        decision=said.decision,
        decided_by=said.decided_by,
        banned_probability=said.banned_probability,
        banned_to_safe_risk=said.banned_to_safe_risk,
        model=bundle.ref,
        content_fingerprint=FINGERPRINT,
        **{"policy": PolicyRef(name=policy.name, version=policy.version), **fields},
    )
