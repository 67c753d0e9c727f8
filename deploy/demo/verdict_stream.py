"""Read verdicts and dead letters as the ad pipeline would: only what is committed, from the beginning.

Invariant: every record of both topics is returned once, whatever was read before `read_to_end`.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final, cast

from confluent_kafka import Message
from pydantic import ValidationError

from deploy.demo.account import Answer, DeadLetterSeen, VerdictSeen
from deploy.demo.errors import DemoError
from schemas import DeadLetter, Decision, Verdict, decode_verdict
from testkit.reader import Reader
from testkit.records import Place, place_of
from testkit.topics import Topics

_END_TIMEOUT_S: Final = 30.0
"""Longest wait for the end of the topics once nobody writes to them any more."""


class VerdictStream:
    """A read_committed reader of both output topics.

    Args:
        topics: Where the answers come from.

    Attributes:
        example: One verdict as it was on the wire, a blocking one where there is any; None before the first.
    """

    def __init__(self, topics: Topics) -> None:
        self._dead_letter_topic = topics.dead_letters
        # What matters of the client's log is raised here; the rest would be drawn across the live table.
        self._reader = Reader(topics.bootstrap_servers, topics.outputs, properties={"log_level": 2})
        self.example: Verdict | None = None

    def poll(self, timeout_s: float) -> Answer | None:
        """Wait for the next answer; None when none came in time.

        Raises:
            HarnessError: Kafka cannot be read, or a record is no verdict or dead letter of the contract.
        """
        message = self._reader.poll(timeout_s)
        # Both clocks are this machine's: the broker stamps the record when it appends it.
        return None if message is None else self._answer(message, time.time() * 1_000)

    def read_to_end(self) -> Iterator[Answer]:
        """Yield what is left, up to the end of every partition; for the time when the worker has stopped.

        Raises:
            HarnessError: As `poll`, or the end did not come in time.
        """
        for message in self._reader.read_to_end(timeout_s=_END_TIMEOUT_S):
            yield self._answer(message, time.time() * 1_000)

    def close(self) -> None:
        """Disconnect."""
        self._reader.close()

    def _answer(self, message: Message, now_ms: float) -> Answer:
        place = place_of(message)
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


def _verdict_seen(verdict: Verdict, now_ms: float) -> VerdictSeen:
    source = verdict.source
    return VerdictSeen(
        place=Place.of(source),
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
