"""Of which assigned partitions records are fetched."""

from collections.abc import Collection, Iterable

from confluent_kafka import TopicPartition

from worker.kafka.client import KafkaConsumer
from worker.kafka.partition_range import Partition


class FetchControl:
    """Pauses and resumes partitions of one consumer.

    Args:
        client: The consumer.
    """

    def __init__(self, client: KafkaConsumer) -> None:
        self._client = client
        self._paused: set[Partition] = set()

    def hold(self, held: set[Partition], assigned: Collection[Partition]) -> None:
        """Fetch of the assigned partitions all but these."""
        if added := held - self._paused:
            self._client.pause([TopicPartition(*place) for place in added])
        if removed := (self._paused - held) & set(assigned):
            self._client.resume([TopicPartition(*place) for place in removed])
        self._paused = held

    def forget(self, places: Iterable[Partition]) -> None:
        """Take that these were assigned or taken away: the client has paused none of them any more."""
        self._paused -= set(places)

    def restart(self, place: Partition, offset: int) -> None:
        """Fetch a partition from an offset on, though the client has stopped fetching it.

        A seek does not start it again in every state.
        """
        start = TopicPartition(*place, offset)
        self._client.incremental_unassign([start])
        self._client.incremental_assign([start])
        self.forget([place])
