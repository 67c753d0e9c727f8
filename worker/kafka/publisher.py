"""Publish a batch: verdicts, dead letters and input offsets, all of it or nothing.

`TransactionalPublisher` puts everything into one Kafka transaction, fenced by the consumer's group metadata read
fresh for each commit. `AtLeastOncePublisher` commits the offsets after every message is acknowledged.

What Kafka answers decides what happens:
- abortable: abort the transaction, raise BatchAborted; the batch is read again;
- in doubt (a commit that timed out): the producer is thrown away and a new one with the same transactional id is
  initialised, which makes the broker finish or abort the old transaction; then the committed offsets tell which it was.
  The commit itself is never repeated;
- fatal (fenced, not authorised), or a message or an offset that the broker will never take: Fatal.

Source: KIP-447 (fencing by group metadata); librdkafka INTRODUCTION.md, "Transactional producer".
"""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, Producer, TopicPartition

from worker.errors import BatchAborted, Fatal
from worker.kafka.bounded_call import bounded
from worker.kafka.errors import FENCED, describe, fatal, is_fatal, kafka_error, refused_for_good
from worker.kafka.retry import Passing, Waiting, unheard
from worker.outcome_encoding import OutgoingMessage

log = structlog.get_logger()

Offsets = Mapping[tuple[str, int], int]
"""Per topic and partition, the next offset to read."""

Notes = Mapping[tuple[str, int], str]
"""Per topic and partition, a text that Kafka keeps beside the committed offset."""

Published = Callable[[float, int], None]
"""Told how long the messages of a commit took to be handed over, seconds, and how many they were."""

GroupMember = Any
"""The consumer's opaque group metadata: member id and generation, by which the broker fences a zombie."""

_BACKPRESSURE_POLL_S: Final = 0.05
_BY_KEY: Final = -1
"""The client's number of no partition: its partitioner chooses one."""
_INIT_PAUSE_S: Final = 0.5
_RETURN_MARGIN_S: Final = 2.0
"""How long after its own time-out the client is still waited for."""


class Publisher(Protocol):
    """What the loop needs of a publisher."""

    def commit(
        self, messages: Sequence[OutgoingMessage], offsets: Offsets, member: GroupMember, notes: Notes | None = None
    ) -> None:
        """Publish the messages and commit the offsets in the name of a group member.

        Offsets without a note lose an older one. Without offsets nothing fences a member that the group has dropped.

        Raises:
            BatchAborted: nothing was committed, or it is unknown whether it was.
            Fatal: nothing was committed and nothing more can be.
        """

    def close(self) -> None:
        """Release the connection; aborts what is open."""


def _enqueue(producer: Producer, messages: Sequence[OutgoingMessage], on_delivery: Any, deadline: float) -> None:
    """Hand messages to the client; a full queue is waited for, never dropped."""
    for message in messages:
        while True:
            try:
                producer.produce(
                    message.topic,
                    value=message.value,
                    key=message.key,
                    partition=_BY_KEY if message.partition is None else message.partition,
                    headers=[*message.headers] or None,
                    on_delivery=on_delivery,
                )
                break
            except BufferError:
                if time.monotonic() > deadline:
                    raise BatchAborted("the producer's queue stayed full") from None
                producer.poll(_BACKPRESSURE_POLL_S)
    producer.poll(0)


def _ends(offsets: Offsets, notes: Notes | None) -> list[TopicPartition]:
    return [TopicPartition(*place, offset, (notes or {}).get(place, "")) for place, offset in offsets.items()]


class TransactionalPublisher:
    """Exactly-once publisher. Used by one thread at a time.

    Args:
        make_producer: Creates a producer with the worker's transactional id.
        transaction_timeout_s: The broker aborts a transaction that is open for longer, and fences its producer.
        request_timeout_s: Longest wait for one transaction step.
        unreachable_exit_s: Longest wait for a producer to be initialised.
        published: Told when the messages of a transaction are with the client.
        name: The transactional id, for errors.
        waiting: Told before each step that may wait for the brokers.
    """

    def __init__(
        self,
        make_producer: Callable[[], Producer],
        *,
        transaction_timeout_s: float,
        request_timeout_s: float,
        unreachable_exit_s: float,
        published: Published = lambda _duration_s, _n_messages: None,
        name: str = "",
        waiting: Waiting = unheard,
    ) -> None:
        self._published = published
        self._waiting = waiting
        self._make_producer = make_producer
        self._initialising = f"initialising transactions of {name}"
        self._transaction_timeout_s = transaction_timeout_s
        self._request_timeout_s = request_timeout_s
        self._unreachable_exit_s = unreachable_exit_s
        self._unknown_topic = Passing()
        self._begun_at = time.monotonic()
        self._producer = self._initialised()

    def commit(
        self, messages: Sequence[OutgoingMessage], offsets: Offsets, member: GroupMember, notes: Notes | None = None
    ) -> None:
        """Publish and commit in one transaction; see `Publisher.commit`."""
        self._begun_at = time.monotonic()
        deadline = self._begun_at + self._request_timeout_s
        ends = _ends(offsets, notes)
        try:
            self._producer.begin_transaction()
            _enqueue(self._producer, messages, None, deadline)
            self._published(time.monotonic() - self._begun_at, len(messages))
            if ends:
                self._send_offsets(ends, member)
        except KafkaException as error:
            raise self._undone(error, "filling the transaction") from error
        except BatchAborted:
            self._abort()
            raise
        try:
            self._step(self._producer.commit_transaction)
        except KafkaException as error:
            cause = kafka_error(error)
            if cause.fatal() or cause.txn_requires_abort():
                raise self._undone(error, "committing") from error
            self._replace_producer(cause)
            raise BatchAborted(describe(cause), in_doubt=True) from error
        self._unknown_topic.passed()

    def _send_offsets(self, ends: list[TopicPartition], member: GroupMember) -> None:
        step = partial(self._producer.send_offsets_to_transaction, ends, member)
        try:
            self._step(step)
        except KafkaException as error:
            if kafka_error(error).code() != KafkaError._STATE:
                raise
            # A message failed in the middle of the step. Asked again the client says which error that was.
            self._step(step)

    def _step(self, call: Callable[[float], None]) -> None:
        """Take one transaction step; it ends in time even where the client does not."""
        self._waiting("committing")
        bounded(partial(call, self._request_timeout_s), timeout_s=self._request_timeout_s + _RETURN_MARGIN_S)

    def _undone(self, error: KafkaException, doing: str) -> BatchAborted | Fatal:
        """Abort after an error before or in the commit, and return what to raise."""
        cause = kafka_error(error)
        if self._timed_out(cause):
            self._replace_producer(cause)
            return BatchAborted(f"{doing}: the transaction was open for too long", in_doubt=True)
        if is_fatal(cause) and not self._unknown_topic.may_pass(cause):
            return fatal(cause, doing)
        if (refusal := refused_for_good(cause, doing)) is not None:
            # Or readers would wait for the broker's time-out behind a transaction that nobody ends.
            with suppress(KafkaException):
                self._step(self._producer.abort_transaction)
            return refusal
        if cause.txn_requires_abort():
            self._abort()
        else:
            # No answer: the client would abort by itself, without the broker, and its next transaction was seen to wait
            # for ever in send_offsets_to_transaction after the broker came back.
            self._replace_producer(cause)
        return BatchAborted(f"{doing}: {describe(cause)}")

    def _timed_out(self, cause: KafkaError) -> bool:
        """Say whether the broker has fenced this producer because its transaction was open for too long.

        A second worker with the same transactional id gives the same error, but not only after the timeout.
        """
        return cause.code() in FENCED and time.monotonic() - self._begun_at >= self._transaction_timeout_s

    def _abort(self) -> None:
        try:
            self._step(self._producer.abort_transaction)
        except KafkaException as error:
            cause = kafka_error(error)
            # The client may ask for the abort before the broker knows of the transaction (librdkafka 4849).
            is_early = cause.code() == KafkaError.INVALID_TXN_STATE
            if is_fatal(cause) and not is_early and not self._timed_out(cause):
                raise fatal(cause, "aborting") from error
            # An abort without an answer is as open as a commit without one.
            self._replace_producer(cause)

    def _replace_producer(self, cause: KafkaError) -> None:
        log.warning("producer_replaced", error=describe(cause))
        self._discard()
        self._producer = self._initialised()

    def _discard(self) -> None:
        self._producer.purge()
        # The client joins its threads when the object goes; nothing is flushed. A step that never returned keeps its
        # producer; the next one's initialisation fences it.
        del self._producer

    def _initialised(self) -> Producer:
        """Return a producer whose transactional id is fenced against its predecessors."""
        deadline = time.monotonic() + self._unreachable_exit_s
        producer = self._make_producer()
        told = self._initialising
        while True:
            self._waiting(told)
            try:
                producer.init_transactions(self._request_timeout_s)
            except KafkaException as error:
                cause = kafka_error(error)
                if is_fatal(cause):
                    raise fatal(cause, self._initialising) from error
                if time.monotonic() > deadline:
                    raise Fatal(
                        f"{self._initialising}: no success within {self._unreachable_exit_s} s: "
                        f"{describe(cause)}; check the brokers and the transaction coordinator"
                    ) from error
                log.warning("transactions_not_ready", error=describe(cause))
                told = f"{self._initialising}: {describe(cause)}"
                # Serves the error callback, by which readiness learns that no broker is there: the loop waits for this
                # commit and does not poll meanwhile.
                producer.poll(0)
                time.sleep(_INIT_PAUSE_S)
            else:
                return producer

    def close(self) -> None:
        """Drop the producer. Every transaction was ended before, or is the broker's to abort."""
        # There is none after a replacement that could not be initialised.
        if hasattr(self, "_producer"):
            self._discard()


class AtLeastOncePublisher:
    """Publishes with an idempotent producer, then commits the offsets. Used by the thread that polls the consumer.

    Args:
        producer: An idempotent producer without a transactional id.
        consumer: The consumer whose offsets are committed.
        request_timeout_s: Longest wait for all acknowledgements.
        published: Told when every message is acknowledged.
    """

    def __init__(
        self,
        producer: Producer,
        consumer: Consumer,
        *,
        request_timeout_s: float,
        published: Published = lambda _duration_s, _n_messages: None,
    ) -> None:
        self._published = published
        self._producer = producer
        self._consumer = consumer
        self._request_timeout_s = request_timeout_s
        self._unknown_topic = Passing()

    def commit(
        self,
        messages: Sequence[OutgoingMessage],
        offsets: Offsets,
        member: GroupMember,  # noqa: ARG002
        notes: Notes | None = None,
    ) -> None:
        """Publish, wait for every acknowledgement, commit; see `Publisher.commit`."""
        doing = "publishing"
        begun = time.monotonic()
        try:
            self._publish(messages)
            self._published(time.monotonic() - begun, len(messages))
            doing = "committing offsets"
            if offsets:
                self._commit_offsets(_ends(offsets, notes))
        except KafkaException as error:
            cause = kafka_error(error)
            if is_fatal(cause) and not self._unknown_topic.may_pass(cause):
                raise fatal(cause, doing) from error
            if (refusal := refused_for_good(cause, doing)) is not None:
                raise refusal from error
            raise BatchAborted(f"{doing}: {describe(cause)}") from error
        self._unknown_topic.passed()

    def _publish(self, messages: Sequence[OutgoingMessage]) -> None:
        failures: list[tuple[KafkaError, str | None]] = []

        def on_delivery(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failures.append((error, message.topic()))

        _enqueue(self._producer, messages, on_delivery, time.monotonic() + self._request_timeout_s)
        n_unacknowledged = self._producer.flush(self._request_timeout_s)
        for error, topic in failures:
            # A message that only travelled with the refused one has an error of its own, which comes first as often.
            if (refusal := refused_for_good(error, f"publishing to {topic}")) is not None:
                raise refusal
        if failures:
            raise KafkaException(failures[0][0])
        if n_unacknowledged:
            # Purged, so that they are not sent after all when the batch has been read again.
            self._producer.purge()
            raise BatchAborted(f"{n_unacknowledged} of {len(messages)} messages were not acknowledged")

    def _commit_offsets(self, ends: list[TopicPartition]) -> None:
        for result in self._consumer.commit(offsets=ends, asynchronous=False) or []:
            if result.error is not None:
                raise KafkaException(result.error)

    def close(self) -> None:
        """Send what is left; every committed message was acknowledged before."""
        self._producer.flush(self._request_timeout_s)
