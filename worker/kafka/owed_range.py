"""Read the input records of an owed range again and mark their chats.

The worker that judged them is gone, and whoever has its partitions may read the input, but not the verdicts. So a chat
gets the marker of its newest record: what is older in Redis goes; what that record itself or a newer one left stays.
"""

from collections.abc import Generator
from typing import Any, Final

from schemas import CodecLimits, Source
from worker.cache.chats import chat_of
from worker.cache.entries import Entry, newest_entries
from worker.cache.owed_entries import OwedRange, owed_entry
from worker.kafka.config import consumer_config
from worker.kafka.partition_range import PartitionRange
from worker.kafka.topic_scan import ScannedRecord, scan
from worker.settings.kafka import KafkaSettings

_STEP_RECORDS: Final = 50
"""Records in memory at once beside the worker's own batch: a record may have megabytes."""
_PREFETCH_BYTES: Final = 2_000_000


class OwedRangeReader:
    """Turns owed ranges into markers.

    Args:
        settings: Kafka settings of the worker.
        limits: Codec limits.
    """

    def __init__(self, settings: KafkaSettings, limits: CodecLimits) -> None:
        self._settings = settings
        self._limits = limits

    def __call__(self, owed: OwedRange) -> Generator[list[Entry], None, None]:
        """Yield markers in steps, oldest record first; a step may be empty.

        Raises:
            Fatal: the brokers stay silent, or refuse.
        """
        span = PartitionRange(topic=owed.topic, partition=owed.partition, start=owed.start, end=owed.end)
        steps = scan(
            self._consumer_config(), [span], timeout_s=self._settings.unreachable_exit_s, step_records=_STEP_RECORDS
        )
        try:
            for records in steps:
                yield newest_entries(filter(None, map(self._marker, records)))
        finally:
            steps.close()

    def _consumer_config(self) -> dict[str, Any]:
        # Assigned by hand, it joins no group; under the worker's static name it could be taken for the worker.
        config = {name: value for name, value in consumer_config(self._settings).items() if name != "group.instance.id"}
        return config | {
            "queued.max.messages.kbytes": _PREFETCH_BYTES // 1_000,
            "fetch.max.bytes": self._settings.prefetch_max_bytes,
        }

    def _marker(self, record: ScannedRecord) -> Entry | None:
        chat_id = chat_of(record.key, record.value, self._limits, self._settings.value_format)
        if chat_id is None:
            return None
        source = Source(
            topic=record.topic, partition=record.partition, offset=record.offset, timestamp_ms=record.timestamp_ms
        )
        return owed_entry(chat_id, source)
