"""How far the database is behind the topics."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException

from console.pipeline.errors import PipelineAway
from worker.kafka.client import KafkaAdmin, open_admin_client
from worker.kafka.errors import describe, kafka_error
from worker.kafka.high_watermark import high_watermarks
from worker.settings.worker import WorkerSettings

_TIMEOUT_S: Final = 5.0


class Behind:
    """Asks the brokers where topics end; for one thread.

    Args:
        settings: The worker's: where Kafka is.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._admin: KafkaAdmin | None = None

    def records(self, next_offsets: Mapping[tuple[str, int], int]) -> dict[str, int]:
        """Return how many records of each topic come after what was read, transactions' own markers among them.

        Args:
            next_offsets: By topic and partition where reading goes on.

        Raises:
            PipelineAway: a leader does not answer, or refuses.
        """
        if not next_offsets:
            return {}
        if self._admin is None:
            self._admin = open_admin_client(self._settings.kafka)
        try:
            ends = high_watermarks(self._admin, next_offsets, timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise PipelineAway(f"asking where topics end: {describe(kafka_error(error))}") from error
        behind: Counter[str] = Counter()
        for place, offset in next_offsets.items():
            behind[place[0]] += max(0, ends[place] - offset)
        return dict(behind)
