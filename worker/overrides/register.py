"""All overrides, by chat, as the topic holds them.

Invariant: what is refused changes nothing; under a key the record with the highest offset counts that is not.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from schemas import Override, decode_override
from schemas.override import REFUSALS, OverrideRefused
from worker.kafka.topic_scan import ScannedRecord
from worker.overrides.applying import is_in_force
from worker.process.metrics import Metrics
from worker.process.seldom import Seldom

log = structlog.get_logger()

_SAME_REFUSAL_EVERY_S: Final = 60.0


class OverrideRegister:
    """One thread writes, others may read meanwhile.

    Args:
        signing_keys: With any, only records that one of them signs count.
        metrics: Where refused records are counted.
    """

    def __init__(self, signing_keys: Sequence[bytes], metrics: Metrics) -> None:
        self._signing_keys = tuple(signing_keys)
        self._metrics = metrics
        self._by_key: dict[bytes, Override] = {}
        self._by_chat: dict[str, tuple[Override, ...]] = {}
        self._seldom = Seldom(_SAME_REFUSAL_EVERY_S)
        for reason in REFUSALS:
            # There before the first one, or an increase() would not see it.
            metrics.overrides_refused.labels(reason=reason)

    def __iter__(self) -> Iterator[Override]:
        return iter(list(self._by_key.values()))

    def of(self, chat_id: str) -> tuple[Override, ...]:
        """Return what stands on a chat, expired or not."""
        return self._by_chat.get(chat_id, ())

    def n_in_force(self, now: datetime) -> int:
        """Return how many have not expired."""
        return sum(is_in_force(one, now) for one in self)

    def take(self, record: ScannedRecord) -> Override | None:
        """Take a record of the topic; return the override that it puts in force, None where it does not."""
        if record.key is None:
            self._refuse(record, "key")
            return None
        if record.value is None:
            self._forget(record.key)
            return None
        try:
            override = decode_override(record.key, record.value, self._signing_keys, now=datetime.now(UTC))
        except OverrideRefused as refused:
            self._refuse(record, refused.reason)
            return None
        self._forget(record.key)
        self._by_key[record.key] = override
        self._by_chat[override.chat_id] = (*self.of(override.chat_id), override)
        return override

    def _forget(self, key: bytes) -> None:
        if (old := self._by_key.pop(key, None)) is None:
            return
        # A new tuple each time: another thread may be reading the old one.
        if left := tuple(one for one in self.of(old.chat_id) if one is not old):
            self._by_chat[old.chat_id] = left
        else:
            self._by_chat.pop(old.chat_id, None)

    def _refuse(self, record: ScannedRecord, reason: str) -> None:
        self._metrics.overrides_refused.labels(reason=reason).inc()
        if self._seldom.due(reason):
            topic, partition, offset = record.place
            log.error(
                "override_refused",
                reason=reason,
                topic=topic,
                partition=partition,
                offset=offset,
                remedy="it counts for nothing; find out who writes this topic: only `worker override` and a console "
                "should, with the key of MODERATION_OVERRIDES__SIGNING_KEY_FILE where workers hold one",
            )
