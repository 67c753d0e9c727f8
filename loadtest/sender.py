"""Send events: on a schedule, as fast as the answers allow, or all at once behind a gate."""

import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from confluent_kafka import KafkaError, Message, Producer

from loadtest.chats import Outgoing
from loadtest.errors import LoadTestError
from loadtest.ledger import Ledger
from loadtest.run.latency import LatencyHistogram

_FLUSH_S: Final = 60.0
_BACKPRESSURE_S: Final = 0.01
_POLL_S: Final = 0.005


class Sender:
    """A producer that counts what the broker refuses.

    Args:
        bootstrap_servers: Kafka's addresses.
        topic: Where events go.
        properties: Further client properties, such as TLS and SASL.
    """

    def __init__(self, bootstrap_servers: str, topic: str, properties: Mapping[str, str] | None = None) -> None:
        self._topic = topic
        self._refused: list[KafkaError] = []
        self._producer = Producer(producer_config(bootstrap_servers) | dict(properties or {}))

    def send(self, event: Outgoing) -> None:
        """Hand one event to the client; waits while its queue is full."""
        while True:
            try:
                self._producer.produce(self._topic, event.value, event.key, on_delivery=self._on_delivery)
                break
            except BufferError:
                self._producer.poll(_BACKPRESSURE_S)
        self._producer.poll(0)

    def send_on_schedule(
        self,
        events: Iterable[tuple[int, Outgoing]],
        due_s: Iterable[float],
        ledger: Ledger,
        *,
        is_over: Callable[[], bool] = lambda: False,
    ) -> LatencyHistogram:
        """Send (sequence, event) pairs when they are due, seconds from now; never waits for an answer.

        Args:
            events: What is sent, in order.
            due_s: When each is due, as many as events.
            ledger: Where they are booked.
            is_over: Asked before each event; the rest is not sent once it is true.

        Returns:
            How long after its intended time each event was handed to the client: the generator's own delay.
        """
        lateness = LatencyHistogram()
        start = time.perf_counter()
        for (sequence, event), due in zip(events, due_s, strict=True):
            if is_over():
                break
            intended = start + due
            while (early_s := intended - time.perf_counter()) > 0:
                time.sleep(early_s)
            ledger.sent(sequence, intended)
            self.send(event)
            lateness.record(time.perf_counter() - intended)
        return lateness

    def close(self) -> None:
        """Let the client go, so that it does not complain of brokers that are stopped after it."""
        del self._producer

    def flush(self) -> None:
        """Wait until the brokers have everything.

        Raises:
            LoadTestError: they refused or did not acknowledge an event.
        """
        n_left = self._producer.flush(_FLUSH_S)
        if n_left or self._refused:
            cause = self._refused[0].str() if self._refused else f"no acknowledgement within {_FLUSH_S} s"
            raise LoadTestError(
                f"{n_left + len(self._refused)} events did not reach {self._topic}: {cause}; check the brokers"
            )

    def _on_delivery(self, error: KafkaError | None, _: Message) -> None:
        if error is not None:
            self._refused.append(error)


def release_at_once(bootstrap_servers: str, topic: str, events: Iterable[Outgoing]) -> float:
    """Write events in one transaction and commit it: a read_committed reader sees none of them, then all of them.

    Returns:
        When the commit was asked for, monotonic seconds. From then on the topic is full for its readers, and this
        process produces nothing more.
    """
    producer = Producer(producer_config(bootstrap_servers) | {"transactional.id": f"loadtest-{uuid.uuid4().hex}"})
    producer.init_transactions(_FLUSH_S)
    producer.begin_transaction()
    for event in events:
        while True:
            try:
                producer.produce(topic, event.value, event.key)
                break
            except BufferError:
                producer.poll(_BACKPRESSURE_S)
    if producer.flush(_FLUSH_S):
        raise LoadTestError(f"{topic}: the brokers did not take the events within {_FLUSH_S} s; check them")
    released_s = time.perf_counter()
    producer.commit_transaction(_FLUSH_S)
    return released_s


def wait_for(condition: Callable[[], bool], *, progress: Callable[[], int], quiet_s: float) -> bool:
    """Wait until a condition holds; return False when nothing has moved for `quiet_s`."""
    seen, since = progress(), time.monotonic()
    while not condition():
        if (now_seen := progress()) != seen:
            seen, since = now_seen, time.monotonic()
        elif time.monotonic() - since > quiet_s:
            return False
        time.sleep(_POLL_S)
    return True


def producer_config(bootstrap_servers: str) -> dict[str, Any]:
    """Return the properties of every producer here: no lingering, so that an event leaves when it is due."""
    return {
        "bootstrap.servers": bootstrap_servers,
        "partitioner": "murmur2_random",
        "enable.idempotence": True,
        "linger.ms": 0,
        "socket.nagle.disable": True,
        "queue.buffering.max.messages": 200_000,
    }
