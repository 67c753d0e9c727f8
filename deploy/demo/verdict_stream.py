"""Read verdicts and dead letters as the ad pipeline would: only what is committed, from the beginning.

Invariant: every record of both topics is returned once, whatever was read before `read_to_end`.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, cast

from confluent_kafka import Consumer, KafkaError, Message, TopicPartition
from pydantic import ValidationError

from deploy.demo.errors import DemoError
from deploy.demo.ledger import Answer, DeadLetterSeen, Place, VerdictSeen
from schemas import DeadLetter, Decision, Verdict, decode_verdict

_END_TIMEOUT_S: Final = 30.0
"""Longest wait for the end of the topics once nobody writes to them any more."""


class VerdictStream:
    """A read_committed reader of both output topics.

    Args:
        bootstrap_servers: Kafka's address.
        verdict_topic: Where verdicts come from.
        dead_letter_topic: Where dead letters come from.
        n_partitions: Partitions of each of the two.

    Attributes:
        example: One verdict as it was on the wire, a blocking one where there is any; None before the first.
    """

    def __init__(
        self, bootstrap_servers: str, *, verdict_topic: str, dead_letter_topic: str, n_partitions: int
    ) -> None:
        self._dead_letter_topic = dead_letter_topic
        self._next = {
            (topic, partition): 0 for topic in (verdict_topic, dead_letter_topic) for partition in range(n_partitions)
        }
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                # Partitions are assigned by hand; the client wants a name all the same.
                "group.id": "verdictstream-demo",
                "isolation.level": "read_committed",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "auto.offset.reset": "error",
                # What matters of it is raised here; the rest would be drawn across the live table.
                "log_level": 2,
            }
        )
        self._assign()
        self.example: Verdict | None = None

    def poll(self, timeout_s: float) -> Answer | None:
        """Wait for the next answer; None when none came in time.

        Raises:
            DemoError: Kafka cannot be read, or a record is no verdict or dead letter of the contract.
        """
        message = self._consumer.poll(timeout_s)
        # Both clocks are this machine's: the broker stamps the record when it appends it.
        now_ms = time.time() * 1_000
        if message is None or _at_end(message) is not None:
            return None
        return self._answer(message, now_ms)

    def read_to_end(self) -> Iterator[Answer]:
        """Yield what is left, up to the end of every partition; for the time when the worker has stopped.

        Raises:
            DemoError: As `poll`, or the end did not come in time.
        """
        # A new assignment, because the end of a partition is told only once to each.
        self._assign()
        waiting = set(self._next)
        deadline = time.monotonic() + _END_TIMEOUT_S
        while waiting:
            if time.monotonic() > deadline:
                raise DemoError(
                    f"the end of {len(waiting)} partitions was not reached within {_END_TIMEOUT_S:.0f} s; expected "
                    "no open transaction after the worker's end; see the worker's log"
                )
            message = self._consumer.poll(0.5)
            if message is None:
                continue
            ended = _at_end(message)
            if ended is not None:
                waiting.discard(ended)
            else:
                yield self._answer(message, time.time() * 1_000)

    def close(self) -> None:
        """Disconnect."""
        self._consumer.close()

    def _assign(self) -> None:
        self._consumer.assign(
            [TopicPartition(topic, partition, offset) for (topic, partition), offset in self._next.items()]
        )

    def _answer(self, message: Message, now_ms: float) -> Answer:
        error = message.error()
        if error is not None:
            raise DemoError(f"the answers cannot be read: {error.str()}; expected a running broker")
        place = _place(message)
        self._next[place.topic, place.partition] = place.offset + 1
        try:
            if place.topic == self._dead_letter_topic:
                return _dead_letter_seen(message, now_ms)
            verdict = decode_verdict(message.value() or b"")
        except ValidationError as broken:
            raise DemoError(
                f"{place}: not a record of the contract: {broken.error_count()} fields are wrong; expected what "
                "schemas/json describes; this is a bug of the worker"
            ) from broken
        if self.example is None or (verdict.decision is Decision.BLOCK and self.example.decision is not Decision.BLOCK):
            self.example = verdict
        return _verdict_seen(verdict, now_ms)


def _at_end(message: Message) -> tuple[str, int] | None:
    """Return the partition that this message says is read to its end."""
    error = message.error()
    if error is None or error.code() != KafkaError._PARTITION_EOF:  # noqa: SLF001  the client's public name for it
        return None
    return str(message.topic()), int(message.partition() or 0)


def _place(message: Message) -> Place:
    return Place(str(message.topic()), int(message.partition() or 0), int(message.offset() or 0))


def _verdict_seen(verdict: Verdict, now_ms: float) -> VerdictSeen:
    source = verdict.source
    return VerdictSeen(
        place=Place(source.topic, source.partition, source.offset),
        latency_ms=now_ms - source.timestamp_ms,
        chat_id=verdict.chat_id,
        category=verdict.category,
        decision=verdict.decision,
        risk=verdict.banned_to_safe_risk,
        cache_hit=verdict.cache_hit,
        decided_at=verdict.decided_at.astimezone(UTC),
    )


def _dead_letter_seen(message: Message, now_ms: float) -> DeadLetterSeen:
    # The client's type knows more forms than a consumed message ever has.
    letter = DeadLetter.from_headers(cast("list[tuple[str, bytes | None]]", message.headers() or []))
    return DeadLetterSeen(
        place=Place(letter.origin_topic, letter.origin_partition, letter.origin_offset),
        latency_ms=now_ms - letter.origin_timestamp_ms,
        reason=letter.reason,
        seen_at=datetime.fromtimestamp(now_ms / 1_000, UTC),
    )
