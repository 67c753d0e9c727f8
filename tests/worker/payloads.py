"""Records, events and settings that the worker's tests share."""

from typing import Any

import orjson

from model import Classification
from model.decision import Judgement
from schemas import CHAT_13, CodecLimits, DecidedBy, Decision, ModelRef, Policy
from worker.decode import Decoder
from worker.outcome_encoding import OutputTopics
from worker.record import Event, Record
from worker.settings.kafka import KafkaSettings
from worker.verdict_builder import VerdictBuilder

MODEL = ModelRef(name="m", version="1", digest=f"sha256:{'ab' * 32}")
POLICY = Policy.default_for(CHAT_13).model_copy(update={"name": "p"})

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
    probabilities = dict.fromkeys(CHAT_13.codes, 0.02) | {category: 0.76}
    judgement = Judgement(0.06, 0.01, decision, DecidedBy.MODEL)
    return Classification(category, probabilities, judgement, evidence=probabilities)


def builder(**fields: Any) -> VerdictBuilder:
    """Return a builder of chat-13's verdicts, with `fields` laid over it."""
    return VerdictBuilder(**{"model": MODEL, "policy_in_use": POLICY, "categories": CHAT_13, **fields})


def kafka_settings(**fields: Any) -> KafkaSettings:
    """Return Kafka settings for an address that nobody listens on."""
    return KafkaSettings(bootstrap_servers="localhost:1", **fields)
