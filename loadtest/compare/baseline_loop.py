"""The bare limit of the cached path: poll 500, orjson, MGET, produce, transaction; no schema, no check, no metric.

It finds every chat's verdict in Redis and sends it on as it is. What the worker does beyond this loop (validation,
fingerprint, a fresh verdict, the cache's compare-and-set, metrics) is the difference that the ratio shows.
"""

import time
import uuid
from collections.abc import Callable
from typing import Final

import orjson
import redis
from confluent_kafka import Consumer, Message, Producer, TopicPartition

from loadtest.errors import LoadTestError
from testkit.sender import producer_config
from testkit.topics import Topics

_POLL_RECORDS: Final = 500
_POLL_S: Final = 0.05
_REQUEST_S: Final = 30.0
_QUIET_S: Final = 60.0


class BaselineLoop:
    """One consumer, one transactional producer, one Redis connection.

    Args:
        topics: Where records come from and go.
        redis_url: Where the verdicts are.
    """

    def __init__(self, topics: Topics, redis_url: str) -> None:
        self._topics = topics
        self._redis: redis.Redis = redis.Redis.from_url(redis_url)
        self._consumer = Consumer(
            {
                "bootstrap.servers": topics.bootstrap_servers,
                "group.id": f"{topics.group_id}-bare",
                "partition.assignment.strategy": "cooperative-sticky",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
                "isolation.level": "read_committed",
                "fetch.queue.backoff.ms": 10,
                "socket.nagle.disable": True,
            }
        )
        self._producer = Producer(
            producer_config(topics.bootstrap_servers)
            | {"transactional.id": f"loadtest-{uuid.uuid4().hex}", "compression.type": "lz4", "linger.ms": 5}
        )

    def run(self, n_events: int, on_ready: Callable[[], None]) -> None:
        """Join the group, call `on_ready`, then pass on `n_events` records and leave.

        Raises:
            LoadTestError: records stop coming before that, or Redis lacks a verdict.
        """
        self._producer.init_transactions(_REQUEST_S)
        joined: list[bool] = []
        self._consumer.subscribe([self._topics.events], on_assign=lambda *_: joined.append(True))
        held: list[Message] = []
        while not joined:
            held += self._poll()
        on_ready()
        n_done, last_s = 0, time.monotonic()
        while n_done < n_events:
            messages, held = [*held, *self._poll()], []
            if messages:
                self._pass_on(messages)
                n_done, last_s = n_done + len(messages), time.monotonic()
            elif time.monotonic() - last_s > _QUIET_S:
                raise LoadTestError(f"the baseline loop saw {n_done} of {n_events} events, then none for {_QUIET_S} s")
        self._consumer.close()

    def _poll(self) -> list[Message]:
        first = self._consumer.poll(_POLL_S)
        # What is there after the first one: a request for 500 would wait until it has them all.
        messages = [] if first is None else [first, *self._consumer.consume(_POLL_RECORDS - 1, timeout=0)]
        for message in messages:
            if (error := message.error()) is not None:
                raise LoadTestError(f"{self._topics.events}: {error.str()}; expected records; check the brokers")
        return messages

    def _pass_on(self, messages: list[Message]) -> None:
        chat_ids = [orjson.loads(message.value() or b"null")["chat_id"] for message in messages]
        verdicts = self._redis.mget([f"verdict:{chat_id}" for chat_id in chat_ids])
        ends: dict[int, int] = {}
        self._producer.begin_transaction()
        for message, chat_id, verdict in zip(messages, chat_ids, verdicts, strict=True):
            if verdict is None or b'"decision":' not in verdict:
                raise LoadTestError(f"Redis has no verdict of {chat_id}; expected all events to be cached before")
            ends[message.partition() or 0] = (message.offset() or 0) + 1
            self._producer.produce(self._topics.verdicts, verdict, chat_id.encode())
        offsets = [TopicPartition(self._topics.events, partition, offset) for partition, offset in ends.items()]
        self._producer.send_offsets_to_transaction(offsets, self._consumer.consumer_group_metadata(), _REQUEST_S)
        self._producer.commit_transaction(_REQUEST_S)
