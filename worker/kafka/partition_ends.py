"""Where partitions end now, asked of their leaders without waiting."""

from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec  # type: ignore[attr-defined]

from worker.kafka.client import KafkaAdmin
from worker.kafka.partition_range import Partition

_TIMEOUT_S: Final = 5.0


class Ends(NamedTuple):
    """Where one partition ends."""

    high: int
    """The offset after the last record or transaction marker."""
    stable: int
    """Where the first open transaction begins, else the same: a `read_committed` reader gets no further."""


Answer = Callable[[], Mapping[Partition, Ends] | None]
"""Returns the ends that are known, None while the brokers have not answered."""

AskEnds = Callable[[Collection[Partition]], Answer]
"""Asks for the ends of at least one partition; neither waits."""


def ends_of(admin: KafkaAdmin) -> AskEnds:
    """Return what asks over an admin client.

    The consumer's own watermarks are no substitute: they stand still where it fetches nothing.
    """

    def ask(places: Collection[Partition]) -> Answer:
        # Serves what the client has to tell of its connections, which would pile up otherwise.
        admin.poll(0)
        latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        wanted = {TopicPartition(*place): latest for place in places}
        asked = [
            admin.list_offsets(wanted, isolation_level=level, request_timeout=_TIMEOUT_S)
            for level in (IsolationLevel.READ_UNCOMMITTED, IsolationLevel.READ_COMMITTED)
        ]

        def answer() -> Mapping[Partition, Ends] | None:
            if not all(one.done() for answers in asked for one in answers.values()):
                return None
            highs, stables = ({(p.topic, p.partition): _offset(one) for p, one in answers.items()} for answers in asked)
            return {
                place: Ends(high, stable)
                for place, high in highs.items()
                if high is not None and (stable := stables.get(place)) is not None
            }

        return answer

    return ask


def _offset(answer: "Future[Any]") -> int | None:
    try:
        return int(answer.result().offset)
    except KafkaException:
        return None
