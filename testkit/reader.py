"""Read whole topics as a downstream team does: from their first record on, committed records only unless asked.

The time of a record is that at which the client handed it over, so the reader's own fetch is part of every latency.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from types import TracebackType
from typing import Any, Final, Literal, Self
from uuid import uuid4

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, Message, TopicPartition
from confluent_kafka.admin import TopicMetadata  # type: ignore[attr-defined]

from testkit.errors import HarnessError
from testkit.records import OutputRecord
from testkit.topics import Topics
from testkit.waiting import wait_until

Isolation = Literal["read_committed", "read_uncommitted"]

Take = Callable[[Sequence[Message], float], None]
"""Takes records and the monotonic second at which they were seen."""

_POLL_S: Final = 0.1
_END_POLL_S: Final = 0.5
_STEP: Final = 1_000
_REQUEST_S: Final = 20.0
_JOIN_S: Final = 10.0


class Reader:
    """A consumer over every partition of some topics, in no group.

    Args:
        bootstrap_servers: Kafka's addresses.
        topics: Which topics; they are waited for.
        isolation: Whether aborted records are seen.
        properties: Further client properties; they win over the harness' own.
        finds_ends: Whether the end of a partition is told, as `read_to_end` needs it.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[str],
        *,
        isolation: Isolation = "read_committed",
        properties: Mapping[str, Any] | None = None,
        finds_ends: bool = True,
    ) -> None:
        self._topics = topics
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": f"reader-{uuid4().hex}",
                "enable.auto.commit": False,
                # After an unclean end of the broker a reader may have to begin again.
                "auto.offset.reset": "earliest",
                "isolation.level": isolation,
                "enable.partition.eof": finds_ends,
                "socket.nagle.disable": True,
                "fetch.error.backoff.ms": 20,
                **(properties or {}),
            }
        )
        self._partitions = self._listed()
        self._consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for topic, p in self._partitions])

    def poll(self, timeout_s: float) -> Message | None:
        """Return the next record; None where none came in time.

        Raises:
            HarnessError: Kafka cannot be read.
        """
        message = self._consumer.poll(timeout_s)
        return None if message is None or _is_end(message) else self._checked(message)

    def step(self, timeout_s: float) -> list[Message]:
        """Wait for one message and return it with what came beside it, errors of the client included."""
        # One first, because a request for many waits until it has them all.
        first = self._consumer.poll(timeout_s)
        return [] if first is None else [first, *self._consumer.consume(_STEP, timeout=0)]

    def read_to_end(self, *, timeout_s: float = _REQUEST_S) -> Iterator[Message]:
        """Yield what is left, up to the present end of every partition.

        Raises:
            HarnessError: nothing came for so long before every end was reached, or Kafka cannot be read.
        """
        # A new assignment from here on, because the end of a partition is told only once to each.
        here = self._consumer.position([TopicPartition(topic, p) for topic, p in self._partitions])
        self._consumer.assign([TopicPartition(p.topic, p.partition, _from(p.offset)) for p in here])
        waiting, last_s = set(self._partitions), time.monotonic()
        while waiting:
            message = self._consumer.poll(_END_POLL_S)
            if message is not None:
                last_s = time.monotonic()
                if _is_end(message):
                    waiting.discard((str(message.topic()), int(message.partition() or 0)))
                else:
                    yield self._checked(message)
            elif time.monotonic() - last_s > timeout_s:
                raise HarnessError(
                    f"the end of {len(waiting)} of {len(self._partitions)} partitions of {', '.join(self._topics)} was "
                    f"not reached within {timeout_s:.0f} s; expected no open transaction; see the worker's log"
                )

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _listed(self) -> list[tuple[str, int]]:
        def listed() -> dict[str, TopicMetadata] | None:
            found = self._consumer.list_topics(timeout=_REQUEST_S).topics
            return found if found.keys() >= set(self._topics) else None

        # The broker that answers may learn of a new topic after the one that made it.
        known = wait_until(listed, timeout_s=30, what=lambda: f"{self._topics} are not all listed")
        return [(topic, partition) for topic in self._topics for partition in known[topic].partitions]

    def _checked(self, message: Message) -> Message:
        if (error := message.error()) is not None:
            raise HarnessError(
                f"{', '.join(self._topics)} cannot be read: {error.str()}; expected records; check the brokers"
            )
        return message


def _is_end(message: Message) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF  # noqa: SLF001  librdkafka's local codes


def _from(position: int) -> int:
    return position if position >= 0 else OFFSET_BEGINNING


def read_all(
    bootstrap_servers: str,
    topics: Sequence[str],
    isolation: Isolation = "read_committed",
    *,
    properties: Mapping[str, Any] | None = None,
) -> list[OutputRecord]:
    """Return every record that a reader of this isolation level sees now, per partition in order.

    Raises:
        HarnessError: nothing came for 20 s before the end of every partition.
    """
    with closing(Reader(bootstrap_servers, topics, isolation=isolation, properties=properties)) as reader:
        return [OutputRecord.of(message) for message in reader.read_to_end()]


class BackgroundReader:
    """A thread that reads the outcomes of a run beside it: what it has seen, it has seen, aborted later or not.

    Args:
        topics: The run's topics.
        take: Called in the thread with every step of records; may be exchanged on the way.
        properties: Further client properties, besides those of the run.
    """

    def __init__(self, topics: Topics, take: Take, *, properties: Mapping[str, Any] | None = None) -> None:
        self.take = take
        self.n_read = 0
        self._error: KafkaError | None = None
        self._stopping = threading.Event()
        properties = {"group.id": f"{topics.group_id}-reader", **topics.properties, **(properties or {})}
        self._reader = Reader(topics.bootstrap_servers, topics.outputs, properties=properties, finds_ends=False)
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def check(self) -> None:
        """Raise HarnessError where Kafka could not be read, or the thread has ended."""
        if self._error is not None:
            raise HarnessError(f"reading outcomes: {self._error.str()}; expected records; check the brokers")
        if not self._thread.is_alive():
            raise HarnessError("the reader's thread has ended; expected it to run to the end; see its error above")

    def close(self) -> None:
        """Stop reading."""
        self._stopping.set()
        self._thread.join(_JOIN_S)
        # Closed twice.
        with suppress(RuntimeError):
            self._reader.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            messages = self._reader.step(_POLL_S)
            now_s = time.perf_counter()
            good = [message for message in messages if message.error() is None]
            if len(good) < len(messages) and self._error is None:
                # Kept and told by `check`: where a broker comes and goes, a reader goes on.
                self._error = next(error for message in messages if (error := message.error()) is not None)
            if good:
                self.take(good, now_s)
                self.n_read += len(good)
