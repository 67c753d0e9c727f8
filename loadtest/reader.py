"""Read committed verdicts and dead letters as a subscriber of the verdict topic would.

The time of a verdict is that at which the client handed it over, so the reader's own fetch is part of every latency.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Final, Self

import orjson
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Message, TopicPartition

from loadtest.errors import LoadTestError
from loadtest.ledger import Ledger
from loadtest.topics import Topics

Take = Callable[[Sequence[Message], float], None]
"""Takes records and the monotonic second at which they were seen."""

_POLL_S: Final = 0.1
_STEP: Final = 1_000


class VerdictReader:
    """A thread with a read_committed consumer over the whole of a measurement's output topics.

    Args:
        topics: A measurement's topics.
        take: Called in the reader's thread with every step of records; may be exchanged between measurements.
    """

    def __init__(self, topics: Topics, take: Take) -> None:
        self.take = take
        self._stopping = threading.Event()
        self._error: KafkaException | None = None
        self.n_read = 0
        self._consumer = Consumer(
            {
                "bootstrap.servers": topics.bootstrap_servers,
                "group.id": f"{topics.group_id}-reader",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "socket.nagle.disable": True,
                "fetch.error.backoff.ms": 20,
                **topics.properties,
            }
        )
        self._consumer.assign(
            [
                TopicPartition(topic, partition, OFFSET_BEGINNING)
                for topic in (topics.verdicts, topics.dead_letters)
                for partition in range(topics.n_partitions)
            ]
        )
        self._thread = threading.Thread(target=self._run, name="verdict-reader", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()
        self._consumer.close()

    def check(self) -> None:
        """Raise what stopped the reader, if anything did."""
        if self._error is not None:
            raise LoadTestError(
                f"reading verdicts: {self._error.args[0].str()}; expected records; check the brokers"
            ) from self._error

    def _run(self) -> None:
        while not self._stopping.is_set():
            # One record first, because a request for many waits until it has them all.
            first = self._consumer.poll(_POLL_S)
            if first is None:
                continue
            messages = [first, *self._consumer.consume(_STEP, timeout=0)]
            now_s = time.perf_counter()
            error = next((message.error() for message in messages if message.error() is not None), None)
            if error is not None:
                self._error = KafkaException(error)
                return
            self.take(messages, now_s)
            self.n_read += len(messages)


def into_ledger(ledger: Ledger, topics: Topics) -> Take:
    """Return a `Take` that books records as they come."""

    def take(messages: Sequence[Message], now_s: float) -> None:
        for message in messages:
            content = orjson.loads(message.value() or b"{}")
            if message.topic() == topics.verdicts:
                ledger.answered(content.get("event_id"), now_s, cache_hit=content["cache_hit"])
            else:
                # A dead letter is the event itself.
                ledger.answered(content.get("event_id"), now_s, dead_letter=True)

    return take


class Collected:
    """Keeps records unread while the clock runs, so that the generator takes no CPU from what it measures."""

    def __init__(self) -> None:
        self._steps: list[tuple[Sequence[Message], float]] = []
        self.last_s = 0.0

    def take(self, messages: Sequence[Message], now_s: float) -> None:
        """Keep one step of records."""
        self._steps.append((messages, now_s))
        self.last_s = now_s

    def book(self, take: Take) -> None:
        """Hand everything on, with the times at which it was seen."""
        for messages, now_s in self._steps:
            take(messages, now_s)

    def messages(self) -> Iterator[Message]:
        """Yield the records kept, in the order in which they were seen."""
        for messages, _ in self._steps:
            yield from messages
