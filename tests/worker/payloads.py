"""Records, events and settings that the worker's tests share."""

from typing import Any

import orjson

from model import Classification
from model.decision import Judgement
from schemas import CODES, CodecLimits, Decision
from worker.decode import Decoder
from worker.outcome_encoding import OutputTopics
from worker.record import Event, Record
from worker.settings.kafka import KafkaSettings

TOPICS = OutputTopics("verdicts", "chat-events.dlq", verdict_max_bytes=1_000_000, dead_letter_max_bytes=1_000_000)


def record(offset: int, *, partition: int = 0, value: bytes | None = None, **fields: Any) -> Record:
    """Return an input record; without a value, a chat event of its own with `fields` laid over it."""
    event = {"chat_id": f"chat-{offset}", "messages": [{"role": "user", "content": f"text {offset}"}], **fields}
    return Record("chat-events", partition, offset, 1_000 + offset, b"key", value or orjson.dumps(event))


def tombstone(offset: int) -> Record:
    """Return a record without a value."""
    return Record("chat-events", 0, offset, 1_000, b"chat-1", None)


def event(offset: int, **fields: Any) -> Event:
    """Return a decoded chat event."""
    (row,) = Decoder(CodecLimits()).decode([record(offset, **fields)])
    assert row.event is not None
    return row.event


def classification(category: str = "F", decision: Decision = Decision.ALLOW) -> Classification:
    """Return an answer of the classifier."""
    probabilities = dict.fromkeys(CODES, 0.02) | {category: 0.76}
    return Classification(category, probabilities, Judgement(0.06, 0.01, decision), evidence=probabilities)


def kafka_settings(**fields: Any) -> KafkaSettings:
    """Return Kafka settings for an address that nobody listens on."""
    return KafkaSettings(bootstrap_servers="localhost:1", **fields)
