"""What Kafka answers decides what happens: abort and read again, throw the producer away, or stop."""

import threading

import pytest
from confluent_kafka import KafkaError

from tests.worker.kafka.fake_kafka import MEMBER, FakeConsumer, FakeProducer, kafka_failure
from worker.errors import BatchAborted, Fatal
from worker.kafka.publisher import AtLeastOncePublisher, TransactionalPublisher
from worker.outcome_encoding import OutgoingMessage

MESSAGES = [
    OutgoingMessage("verdicts", b"k", b"1", [], ("chat-events", 0, 6)),
    OutgoingMessage("dlq", None, None, [("reason", b"x")], ("chat-events", 3, 0)),
]
OFFSETS = {("chat-events", 0): 7, ("chat-events", 3): 1}
ENDS = [("chat-events", 0, 7), ("chat-events", 3, 1)]


class Factory:
    """Hands out the producers of a test, in order."""

    def __init__(self, *producers: FakeProducer) -> None:
        self.waiting = list(producers)

    def __call__(self) -> FakeProducer:
        """Make a producer."""
        return self.waiting.pop(0)


class StuckProducer(FakeProducer):
    """A producer that does not come back from one call.

    Args:
        step: Name of the call.
    """

    def __init__(self, step: str) -> None:
        super().__init__()
        self._step = step
        self.released = threading.Event()

    def _note(self, call: str) -> None:
        super()._note(call)
        if call == self._step:
            self.released.wait()


def transactional(*producers: FakeProducer, transaction_timeout_s: float = 60.0) -> TransactionalPublisher:
    """Return a publisher over these producers; the first is in use."""
    return TransactionalPublisher(
        Factory(*producers),  # type: ignore[arg-type]
        transaction_timeout_s=transaction_timeout_s,
        request_timeout_s=1.0,
        unreachable_exit_s=0.0,
    )


def test_messages_and_offsets_commit_in_one_transaction() -> None:
    """All of it or nothing."""
    producer = FakeProducer()
    transactional(producer).commit(MESSAGES, OFFSETS, MEMBER)
    assert producer.produced == [("verdicts", b"1"), ("dlq", None)]
    assert producer.offsets == ENDS
    assert [call for call in producer.calls if call != "poll"] == [
        "init_transactions",
        "begin_transaction",
        "produce",
        "produce",
        "send_offsets_to_transaction",
        "commit_transaction",
    ]


@pytest.mark.parametrize("step", ["send_offsets_to_transaction", "commit_transaction"])
def test_a_client_that_does_not_return_is_left_behind_with_its_producer(step: str) -> None:
    """F8: the client's own time-out was seen not to fire; the worker would stand still for ever."""
    stuck, fresh = StuckProducer(step), FakeProducer()
    publisher = transactional(stuck, fresh)
    with pytest.raises(BatchAborted, match="did not return") as aborted:
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert aborted.value.in_doubt == (step == "commit_transaction")
    publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert fresh.offsets == ENDS
    assert "abort_transaction" not in stuck.calls
    stuck.released.set()


@pytest.mark.parametrize("step", ["begin_transaction", "send_offsets_to_transaction", "commit_transaction"])
@pytest.mark.parametrize(
    "code",
    [
        KafkaError._FENCED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ],
)
def test_an_error_that_no_retry_can_help_ends_the_process(step: str, code: int) -> None:
    """F13 and F19: fenced or not authorised; the text says what to do."""
    producer = FakeProducer({step: [kafka_failure(code, fatal=True)]})
    with pytest.raises(Fatal, match=r"another worker|grant"):
        transactional(producer).commit(MESSAGES, OFFSETS, MEMBER)
    assert "abort_transaction" not in producer.calls


@pytest.mark.parametrize("step", ["send_offsets_to_transaction", "commit_transaction"])
def test_an_abortable_error_aborts_the_transaction(step: str) -> None:
    """F7: the group has moved on; the batch is read again by whoever owns it now."""
    producer = FakeProducer({step: [kafka_failure(KafkaError.ILLEGAL_GENERATION, requires_abort=True)]})
    publisher = transactional(producer)
    with pytest.raises(BatchAborted) as caught:
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert not caught.value.in_doubt
    assert producer.calls[-1] == "abort_transaction"
    publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert producer.calls.count("init_transactions") == 1


def test_a_topic_unknown_for_a_moment_aborts_and_one_that_stays_unknown_ends_the_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broker that comes back may not know it yet; a topic that was deleted does not come back by itself."""
    unknown = kafka_failure(KafkaError.UNKNOWN_TOPIC_OR_PART, requires_abort=True)
    producer = FakeProducer({"commit_transaction": [unknown, unknown]})
    publisher = transactional(producer)
    with pytest.raises(BatchAborted):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert producer.calls[-1] == "abort_transaction"
    monkeypatch.setattr("worker.kafka.retry.PATIENCE_S", 0.0)
    with pytest.raises(Fatal, match="create the topic"):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)


def test_a_commit_without_an_answer_is_never_repeated() -> None:
    """F11: the producer is thrown away, a new one fences it, and the committed offsets will tell what happened."""
    old = FakeProducer({"commit_transaction": [kafka_failure(KafkaError._TIMED_OUT)]})
    new = FakeProducer()
    publisher = transactional(old, new)
    with pytest.raises(BatchAborted) as caught:
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert caught.value.in_doubt
    assert old.calls.count("commit_transaction") == 1
    assert "abort_transaction" not in old.calls
    assert new.calls == ["init_transactions"]
    publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert new.calls.count("commit_transaction") == 1


@pytest.mark.parametrize("step", ["begin_transaction", "send_offsets_to_transaction"])
def test_a_transaction_that_gets_no_answer_is_left_to_the_broker(step: str) -> None:
    """F8: a client that lost its broker in the middle of a transaction is not trusted with the next one."""
    old, new = FakeProducer({step: [kafka_failure(KafkaError._TIMED_OUT)]}), FakeProducer()
    publisher = transactional(old, new)
    with pytest.raises(BatchAborted):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert "commit_transaction" not in old.calls
    publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert "commit_transaction" in new.calls


def test_an_abort_without_an_answer_throws_the_producer_away() -> None:
    """It is as open as a commit without one."""
    old = FakeProducer(
        {
            "send_offsets_to_transaction": [kafka_failure(KafkaError.UNKNOWN_MEMBER_ID, requires_abort=True)],
            "abort_transaction": [kafka_failure(KafkaError._TIMED_OUT)],
        }
    )
    new = FakeProducer()
    publisher = transactional(old, new)
    with pytest.raises(BatchAborted):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert old.calls[-1] == "purge"
    assert new.calls == ["init_transactions"]


def test_a_transaction_that_the_broker_timed_out_does_not_end_the_process() -> None:
    """F12: a stalled worker is fenced by its own timeout, not by a second worker; it goes on with a new producer."""
    old = FakeProducer({"commit_transaction": [kafka_failure(KafkaError._FENCED, fatal=True)]})
    publisher = transactional(old, FakeProducer(), transaction_timeout_s=0.0)
    with pytest.raises(BatchAborted):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)


def test_a_full_queue_is_waited_for() -> None:
    """F15: backpressure, nothing dropped, nothing sent twice."""
    producer = FakeProducer({"produce": [BufferError("full"), BufferError("full")]})
    transactional(producer).commit(MESSAGES, OFFSETS, MEMBER)
    assert producer.produced == [("verdicts", b"1"), ("dlq", None)]
    assert producer.calls.count("poll") >= 2


def test_a_queue_that_stays_full_aborts_the_batch() -> None:
    """A broker that takes nothing must not hold the worker for ever."""
    producer = FakeProducer({"produce": [BufferError("full")] * 100_000})
    publisher = transactional(producer)
    publisher._request_timeout_s = 0.0
    with pytest.raises(BatchAborted, match="stayed full"):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert "abort_transaction" in producer.calls
    assert "commit_transaction" not in producer.calls


def test_a_producer_that_cannot_be_replaced_ends_the_process_and_can_still_be_closed() -> None:
    """Law 4: past a stated time the process exits; taking it apart must not hide the reason."""
    old = FakeProducer({"commit_transaction": [kafka_failure(KafkaError._TIMED_OUT)]})
    new = FakeProducer({"init_transactions": [kafka_failure(KafkaError._TIMED_OUT)] * 3})
    publisher = transactional(old, new)
    with pytest.raises(Fatal, match="no success within"):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    publisher.close()


def test_callbacks_are_served_while_a_new_producer_waits_for_its_broker() -> None:
    """F16: the loop waits meanwhile, and readiness hears of an absent broker through the error callback."""
    old = FakeProducer({"commit_transaction": [kafka_failure(KafkaError._TIMED_OUT)]})
    new = FakeProducer({"init_transactions": [kafka_failure(KafkaError._TIMED_OUT)]})
    publisher = transactional(old, new)
    publisher._unreachable_exit_s = 60.0
    with pytest.raises(BatchAborted):
        publisher.commit(MESSAGES, OFFSETS, MEMBER)
    assert new.calls == ["init_transactions", "poll", "init_transactions"]


def at_least_once(producer: FakeProducer, consumer: FakeConsumer) -> AtLeastOncePublisher:
    """Return a publisher without transactions."""
    return AtLeastOncePublisher(producer, consumer, request_timeout_s=1.0)  # type: ignore[arg-type]


def test_offsets_commit_after_every_message_is_acknowledged() -> None:
    """At least once: verdicts first, offsets second."""
    producer, consumer = FakeProducer(), FakeConsumer()
    at_least_once(producer, consumer).commit(MESSAGES, OFFSETS, MEMBER)
    assert producer.calls[-1] == "flush"
    assert consumer.committed == ENDS


def test_nothing_is_committed_when_a_verdict_is_not_delivered() -> None:
    """An unacknowledged verdict leaves the offset where it was."""
    producer, consumer = FakeProducer(), FakeConsumer()
    producer.delivery_error = KafkaError(KafkaError._MSG_TIMED_OUT)
    with pytest.raises(BatchAborted, match="publishing"):
        at_least_once(producer, consumer).commit(MESSAGES, OFFSETS, MEMBER)
    assert consumer.committed == []


def test_nothing_is_committed_while_acknowledgements_are_missing() -> None:
    """And what was not acknowledged is not sent behind the back of the batch that is read again."""
    producer, consumer = FakeProducer(), FakeConsumer()
    producer.n_unacknowledged = 1
    with pytest.raises(BatchAborted, match="1 of 2 messages"):
        at_least_once(producer, consumer).commit(MESSAGES, OFFSETS, MEMBER)
    assert consumer.committed == []
    assert producer.calls[-1] == "purge"


def test_a_group_that_refuses_the_offsets_has_the_batch_read_again() -> None:
    """The partitions are somebody else's now."""
    consumer = FakeConsumer(kafka_failure(KafkaError.ILLEGAL_GENERATION))
    with pytest.raises(BatchAborted, match="committing offsets"):
        at_least_once(FakeProducer(), consumer).commit(MESSAGES, OFFSETS, MEMBER)


def test_a_refused_topic_ends_the_process_in_this_mode_too() -> None:
    """F19."""
    producer = FakeProducer()
    producer.delivery_error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    with pytest.raises(Fatal, match="grant Read"):
        at_least_once(producer, FakeConsumer()).commit(MESSAGES, OFFSETS, MEMBER)


def test_the_time_to_hand_messages_over_is_told_apart_from_the_commit() -> None:
    """So that a load test can say whether the producer or the transaction is slow."""
    told: list[int] = []
    TransactionalPublisher(
        Factory(FakeProducer()),  # type: ignore[arg-type]
        transaction_timeout_s=60.0,
        request_timeout_s=1.0,
        unreachable_exit_s=0.0,
        published=lambda _duration_s, n_messages: told.append(n_messages),
    ).commit(MESSAGES, OFFSETS, MEMBER)
    AtLeastOncePublisher(
        FakeProducer(),  # type: ignore[arg-type]
        FakeConsumer(),  # type: ignore[arg-type]
        request_timeout_s=1.0,
        published=lambda _duration_s, n_messages: told.append(n_messages),
    ).commit(MESSAGES, OFFSETS, MEMBER)
    assert told == [2, 2]
