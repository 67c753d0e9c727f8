"""The overrides topic as whoever decides sees it: read what stands, write a decision and its audit record."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from schemas import (
    Decision,
    DecisionAction,
    Override,
    OverrideScope,
    Verdict,
    VerdictDecision,
    decode_override,
    encode_override,
    encode_verdict_decision,
)
from schemas.erasure import chat_hash
from schemas.override import OverrideRefused, highest_revision
from worker.errors import Fatal, SettingsError
from worker.kafka.client import KafkaAdmin
from worker.kafka.config import consumer_config
from worker.kafka.errors import fatal_while
from worker.kafka.murmur2 import partition_of
from worker.kafka.partition_range import PartitionRange
from worker.kafka.ranges import Since, fix_ranges, missing_topics
from worker.kafka.topic_scan import scan
from worker.kafka.written_together import KeyedRecord, write_together
from worker.settings.worker import WorkerSettings


class Wish(NamedTuple):
    """What a person decides."""

    decision: Decision
    policy: str
    """A policy's name, or `*`."""
    scope: OverrideScope
    expires_at: datetime | None
    actor: str
    reason: str


class OverrideStore:
    """Reads and writes.

    Args:
        settings: With `kafka.overrides_topic`.
        admin: Admin client.

    Raises:
        SettingsError: no overrides topic is set.
        Fatal: Kafka does not answer, or the topic is missing.
    """

    def __init__(self, settings: WorkerSettings, admin: KafkaAdmin) -> None:
        if settings.kafka.overrides_topic is None:
            raise SettingsError(
                "MODERATION_KAFKA__OVERRIDES_TOPIC is not set; expected the topic that the workers follow, by default "
                "named verdict-overrides"
            )
        self._settings = settings
        self._topic: str = settings.kafka.overrides_topic
        timeout_s = settings.kafka.request_timeout_s
        with fatal_while(f"fixing the offsets of {self._topic}"):
            if missing_topics(admin, [self._topic], timeout_s=timeout_s):
                raise Fatal(
                    f"Kafka lacks the topic {self._topic}; expected it, compacted; create it "
                    "(`python -m deploy.kafka topics`), or check the rights"
                )
            self._ranges = fix_ranges(admin, Since((self._topic,), None), {}, timeout_s=timeout_s)

    def of_chat(self, chat_id: str) -> list[Override]:
        """Return what stands on a chat, expired or not.

        Raises:
            Fatal: Kafka cannot be read.
        """
        partition = self._partition(chat_id)
        found = self._read([one for one in self._ranges if one.partition == partition])
        return [one for one in found if one.chat_id == chat_id]

    def all(self) -> list[Override]:
        """Return everything that stands, expired or not; raises Fatal as `of_chat` does."""
        return self._read(self._ranges)

    def _read(self, ranges: Sequence[PartitionRange]) -> list[Override]:
        kafka = self._settings.kafka
        config: dict[str, Any] = consumer_config(kafka) | {"group.id": f"{kafka.group_id}.override"}
        config.pop("group.instance.id", None)
        found: dict[bytes, Override] = {}
        keys, now = self._settings.overrides.signing_keys, datetime.now(UTC)
        for records in scan(config, ranges, timeout_s=kafka.request_timeout_s):
            for record in records:
                key = record.key or b""
                if record.value is None:
                    found.pop(key, None)
                    continue
                try:
                    found[key] = decode_override(record.key, record.value, keys, now=now)
                except OverrideRefused:
                    # Workers leave it alone, too, and raise the alarm.
                    continue
        return list(found.values())

    def _partition(self, chat_id: str) -> int:
        return partition_of(chat_id.encode(), len(self._ranges))

    def put(self, verdict: Verdict, wish: Wish, standing: Sequence[Override], now: datetime) -> Override:
        """Put an override in force, and record who decided it.

        Args:
            verdict: What it answers.
            wish: What is decided.
            standing: What stands on the chat.
            now: The clock.

        Raises:
            SettingsError: no audit log is set.
            Fatal: Kafka refuses, or does not answer.
        """
        highest = max((one.revision for one in standing), default=0)
        # The clock, so that a revision is never given twice, though an earlier override was taken back and forgotten.
        revision = max(round(now.timestamp() * 1_000), highest + 1, verdict.override_revision + 1)
        if revision > highest_revision(now):
            # Workers would leave it alone, too.
            raise SettingsError(
                f"the chat's verdict is under an override of revision {verdict.override_revision}, which no clock "
                "gave; expected milliseconds since 1970: somebody forged it; delete the chat's key in Redis; find out "
                "who writes there"
            )
        override = Override(
            chat_id=verdict.chat_id,
            policy=wish.policy,
            scope=wish.scope,
            decision=wish.decision,
            content_fingerprint=verdict.content_fingerprint,
            decided_at=now,
            expires_at=wish.expires_at,
            actor=wish.actor,
            reason=wish.reason,
            verdict_id=verdict.verdict_id,
            source=verdict.source,
            revision=revision,
        )
        keys = self._settings.overrides.signing_keys
        value = encode_override(override, keys[0] if keys else None)
        self._write(override, value, self._logged(override, DecisionAction.SET, wish.actor, wish.reason, now))
        return override

    def remove(self, overrides: Sequence[Override], *, actor: str, reason: str) -> None:
        """Take overrides back, one after the other, and record who did; raises as `put` does."""
        for override in overrides:
            logged = self._logged(override, DecisionAction.CLEAR, actor, reason, datetime.now(UTC))
            self._write(override, None, logged)

    def _write(self, override: Override, value: bytes | None, logged: KeyedRecord) -> None:
        record = KeyedRecord(self._topic, override.key, value, self._partition(override.chat_id))
        transactional_id = f"{self._settings.kafka.group_id}.override.{uuid.uuid4().hex[:12]}"
        write_together(self._settings.kafka, [record, logged], transactional_id=transactional_id)

    def _logged(
        self, override: Override, action: DecisionAction, actor: str, reason: str, now: datetime
    ) -> KeyedRecord:
        topic, keys = self._settings.kafka.decisions_topic, self._settings.erasure.hash_keys
        if topic is None or not keys:
            raise SettingsError(
                "MODERATION_KAFKA__DECISIONS_TOPIC is not set; expected the audit log, in which every decision of a "
                "person is recorded; set it, and MODERATION_ERASURE__HASH_KEY_FILE"
            )
        record = VerdictDecision(
            decision_id=uuid.uuid4().hex,
            action=action,
            chat_hash=chat_hash(override.chat_id, keys[0]),
            policy=override.policy,
            scope=override.scope,
            decision=override.decision,
            revision=override.revision,
            decided_at=now,
            expires_at=override.expires_at,
            actor=actor,
            reason=reason,
            verdict_id=override.verdict_id,
            source=override.source,
        )
        return KeyedRecord(topic, record.chat_hash.encode(), encode_verdict_decision(record))
