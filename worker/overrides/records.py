"""The two records of a decision, which are written together: the override and its entry in the audit log. Pure.

Invariant: the same decision id, override and times give the same two records, so that a repeated write is a repeat.
"""

import hashlib
from datetime import datetime
from typing import Final, NamedTuple

from schemas import DecisionAction, Override, VerdictDecision, encode_override, encode_verdict_decision
from schemas.erasure import chat_hash
from worker.errors import SettingsError
from worker.kafka.murmur2 import partition_of
from worker.kafka.written_together import KeyedRecord
from worker.settings.worker import WorkerSettings

_ID_CHARACTERS: Final = 32


class DecisionTopics(NamedTuple):
    """Where both lie, and with which keys they are made."""

    overrides: str
    n_partitions: int
    """Of the overrides topic."""
    decisions: str
    hash_key: bytes
    signing_key: bytes | None


def decision_topics(settings: WorkerSettings, n_partitions: int) -> DecisionTopics:
    """Return what the settings say.

    Args:
        settings: The worker's.
        n_partitions: Of the overrides topic.

    Raises:
        SettingsError: a topic or the key of the hashes is not set.
    """
    kafka, keys = settings.kafka, settings.erasure.hash_keys
    if kafka.overrides_topic is None:
        raise SettingsError(
            "MODERATION_KAFKA__OVERRIDES_TOPIC is not set; expected the topic that the workers follow, by default "
            "named verdict-overrides"
        )
    if kafka.decisions_topic is None or not keys:
        raise SettingsError(
            "MODERATION_KAFKA__DECISIONS_TOPIC is not set; expected the audit log, in which every decision of a "
            "person is recorded; set it, and MODERATION_ERASURE__HASH_KEY_FILE"
        )
    signing = settings.overrides.signing_keys
    return DecisionTopics(
        kafka.overrides_topic, n_partitions, kafka.decisions_topic, keys[0], signing[0] if signing else None
    )


def records_of_set(override: Override, decision_id: str, topics: DecisionTopics) -> list[KeyedRecord]:
    """Return what puts an override in force."""
    value = encode_override(override, topics.signing_key)
    logged = _logged(
        override,
        decision_id,
        topics,
        action=DecisionAction.SET,
        actor=override.actor,
        reason=override.reason,
        at=override.decided_at,
    )
    return [_record(override, value, topics), logged]


def records_of_clear(
    override: Override, decision_id: str, topics: DecisionTopics, *, actor: str, reason: str, cleared_at: datetime
) -> list[KeyedRecord]:
    """Return what takes an override back, by `actor`."""
    logged = _logged(
        override, decision_id, topics, action=DecisionAction.CLEAR, actor=actor, reason=reason, at=cleared_at
    )
    return [_record(override, None, topics), logged]


def id_of_clear(decision_id: str, override: Override) -> str:
    """Return the id of one of several records that one decision takes back: the same in each try."""
    return hashlib.sha256(decision_id.encode() + b"\n" + override.key).hexdigest()[:_ID_CHARACTERS]


def _record(override: Override, value: bytes | None, topics: DecisionTopics) -> KeyedRecord:
    partition = partition_of(override.chat_id.encode(), topics.n_partitions)
    return KeyedRecord(topics.overrides, override.key, value, partition)


def _logged(
    override: Override,
    decision_id: str,
    topics: DecisionTopics,
    *,
    action: DecisionAction,
    actor: str,
    reason: str,
    at: datetime,
) -> KeyedRecord:
    record = VerdictDecision(
        decision_id=decision_id,
        action=action,
        chat_hash=chat_hash(override.chat_id, topics.hash_key),
        policy=override.policy,
        scope=override.scope,
        decision=override.decision,
        revision=override.revision,
        decided_at=at,
        expires_at=override.expires_at,
        actor=actor,
        reason=reason,
        verdict_id=override.verdict_id,
        source=override.source,
    )
    return KeyedRecord(topics.decisions, record.chat_hash.encode(), encode_verdict_decision(record))
