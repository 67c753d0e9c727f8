"""One partition as a consumer fetches it: where it is, and what comes next."""

from collections.abc import Iterator
from itertools import islice

from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, OFFSET_INVALID, TIMESTAMP_CREATE_TIME, KafkaError, Message

from tests.broker_twin.partition_log import Partition, PartitionLog


class Fetch:
    """The fetching of one partition.

    Args:
        place: Topic and partition.
        log: Its log.
        start: Offset to begin at, or one of the client's own negative ones.
        reset: `auto.offset.reset`.
        reports_end: `enable.partition.eof`.
    """

    def __init__(self, place: Partition, log: PartitionLog, start: int, *, reset: str, reports_end: bool) -> None:
        self.paused = False
        self.position = OFFSET_INVALID
        self._place = place
        self._log = log
        self._next = start
        self._reset = reset
        self._reports_end = reports_end
        self._reported_end = OFFSET_INVALID
        self._stopped = False

    def take(self, n_messages: int, *, committed_only: bool) -> list[Message]:
        """Return at most so many of the next messages."""
        if self.paused or self._stopped or n_messages <= 0:
            return []
        end = self._log.stable if committed_only else self._log.high
        if (error := self._find_start(end)) is not None:
            self._stopped = True
            return [self._event(error, self._next)]
        found = list(islice(self._records(committed_only=committed_only), n_messages))
        if not found or len(found) < n_messages:
            # Behind the last record there may be markers and aborted records only.
            self._next = end
            if self._reports_end and self._reported_end != end:
                self._reported_end = end
                found.append(self._event(KafkaError(KafkaError._PARTITION_EOF), end))
        return found

    def _records(self, *, committed_only: bool) -> Iterator[Message]:
        for offset, entry in self._log.read(self._next, committed_only=committed_only):
            self._next = self.position = offset + 1
            yield Message(
                topic=self._place[0],
                partition=self._place[1],
                offset=offset,
                key=entry.key,
                value=entry.value,
                headers=entry.headers,
                timestamp=(TIMESTAMP_CREATE_TIME, entry.timestamp_ms),
            )  # type: ignore[call-overload]

    def _find_start(self, end: int) -> KafkaError | None:
        """Turn a start that names no offset into one, by `auto.offset.reset` where it must be."""
        where = self._next
        if where == OFFSET_BEGINNING:
            self._next = self._log.low
        elif where == OFFSET_END:
            self._next = end
        elif not self._log.low <= where <= self._log.high:
            if self._reset == "error":
                return KafkaError(KafkaError._AUTO_OFFSET_RESET, f"offset {where} is out of range")
            self._next = self._log.low if self._reset in {"earliest", "smallest", "beginning"} else end
        return None

    def _event(self, error: KafkaError, offset: int) -> Message:
        topic, partition = self._place
        return Message(topic=topic, partition=partition, offset=offset, error=error)  # type: ignore[call-overload]
