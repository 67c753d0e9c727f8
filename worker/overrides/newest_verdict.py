"""The newest verdict of a chat: what a person looks at who decides otherwise."""

from typing import Any, Final

import structlog
from pydantic import ValidationError

from schemas import RejectionMarker, Verdict, decode_verdict
from worker.cache.outcome_order import Outcome, is_newer, verdict_outcome
from worker.cache.show import cached_outcome
from worker.errors import Degraded
from worker.kafka.client import KafkaAdmin
from worker.kafka.config import consumer_config
from worker.kafka.errors import fatal_while
from worker.kafka.murmur2 import partition_of
from worker.kafka.ranges import Since, fix_ranges
from worker.kafka.topic_scan import ScannedRecord, scan
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

_CACHE_S: Final = 2.0
"""A person waits longer than the loop does."""


def newest_verdict(settings: WorkerSettings, admin: KafkaAdmin, chat_id: str) -> Verdict | None:
    """Return a chat's newest verdict: of Redis where it has one, else of the verdict topic; None where there is none.

    Raises:
        Fatal: Kafka cannot be read.
    """
    return cached_verdict(settings, chat_id) or verdict_on_topic(settings.kafka, admin, chat_id)


def cached_verdict(settings: WorkerSettings, chat_id: str) -> Verdict | None:
    """Return a chat's newest verdict of Redis; None where Redis has none, is away, or is not used."""
    if settings.redis.url is None:
        return None
    try:
        found = cached_outcome(settings.redis, chat_id, timeout_s=_CACHE_S)
    except Degraded as error:
        log.warning("cache_not_asked", error=str(error), instead="the verdict topic is read")
        return None
    # A marker says that a newer record has no verdict. What the topic has is older, and may still be wrong.
    return None if isinstance(found, RejectionMarker) else found


def verdict_on_topic(settings: KafkaSettings, admin: KafkaAdmin, chat_id: str) -> Verdict | None:
    """Return a chat's newest verdict of the partition in which the worker's producer puts it; raises Fatal."""
    topic, key = settings.verdict_topic, chat_id.encode()
    with fatal_while(f"fixing the offsets of {topic}"):
        ranges = fix_ranges(admin, Since((topic,), None), {}, timeout_s=settings.request_timeout_s)
    partition = partition_of(key, len(ranges))
    config: dict[str, Any] = consumer_config(settings) | {"group.id": f"{settings.group_id}.override"}
    config.pop("group.instance.id", None)
    newest: tuple[Outcome, Verdict] | None = None
    mine = [one for one in ranges if one.partition == partition]
    for records in scan(config, mine, timeout_s=settings.request_timeout_s):
        for record in records:
            found = _verdict(record, chat_id) if record.key == key else None
            if found is not None and (newest is None or is_newer(found[0], newest[0])):
                newest = found
    return None if newest is None else newest[1]


def _verdict(record: ScannedRecord, chat_id: str) -> tuple[Outcome, Verdict] | None:
    try:
        verdict = decode_verdict(record.value or b"")
    except ValidationError:
        return None
    if verdict.chat_id != chat_id:
        return None
    return verdict_outcome(verdict, record.place, record.timestamp_ms), verdict
