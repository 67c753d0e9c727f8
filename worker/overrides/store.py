"""The overrides topic as whoever decides sees it: read what stands, write a decision and its audit record."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from schemas import Override, decode_override
from schemas.override import OverrideRefused
from worker.errors import Fatal, SettingsError
from worker.kafka.client import KafkaAdmin
from worker.kafka.config import consumer_config
from worker.kafka.errors import fatal_while
from worker.kafka.murmur2 import partition_of
from worker.kafka.partition_range import PartitionRange
from worker.kafka.ranges import Since, fix_ranges, missing_topics
from worker.kafka.topic_scan import scan
from worker.kafka.written_together import KeyedRecord, write_together
from worker.overrides.records import DecisionTopics, decision_topics, records_of_clear, records_of_set
from worker.overrides.wish import Answered, RevisionForged, Wish, next_revision, override_of
from worker.settings.worker import WorkerSettings


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
        partition = partition_of(chat_id.encode(), len(self._ranges))
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

    def put(self, answered: Answered, wish: Wish, standing: Sequence[Override], now: datetime) -> Override:
        """Put an override in force, and record who decided it.

        Args:
            answered: The verdict that it answers.
            wish: What is decided.
            standing: What stands on the chat.
            now: The clock.

        Raises:
            SettingsError: no audit log is set, or the verdict's revision is forged.
            Fatal: Kafka refuses, or does not answer.
        """
        topics = self._topics()
        try:
            revision = next_revision(now, standing, answered.override_revision)
        except RevisionForged as forged:
            raise SettingsError(str(forged)) from None
        override = override_of(answered, wish, revision, now)
        self._write(records_of_set(override, uuid.uuid4().hex, topics))
        return override

    def remove(self, overrides: Sequence[Override], *, actor: str, reason: str) -> None:
        """Take overrides back, one after the other, and record who did; raises as `put` does."""
        topics = self._topics()
        for one in overrides:
            now = datetime.now(UTC)
            self._write(records_of_clear(one, uuid.uuid4().hex, topics, actor=actor, reason=reason, cleared_at=now))

    def _topics(self) -> DecisionTopics:
        return decision_topics(self._settings, len(self._ranges))

    def _write(self, records: Sequence[KeyedRecord]) -> None:
        transactional_id = f"{self._settings.kafka.group_id}.override.{uuid.uuid4().hex[:12]}"
        write_together(self._settings.kafka, records, transactional_id=transactional_id)
