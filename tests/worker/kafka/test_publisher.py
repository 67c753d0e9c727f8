"""What Kafka answers decides what happens: abort and read again, throw the producer away, or stop."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from tests.brokers import Broker, read, unique
from tests.worker.kafka.faults import Failures, FaultyClient, FaultyProducer, StuckClient, kafka_failure
from worker.errors import BatchAborted, Fatal
from worker.kafka.publisher import AtLeastOncePublisher, GroupMember, Published, TransactionalPublisher
from worker.kafka.retry import Waiting, unheard
from worker.outcome_encoding import OutgoingMessage


class Desk:
    """Topics on a broker, a consumer whose group's offsets are committed, and publishers.

    Args:
        broker: The broker.
    """

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._id = unique("id")
        self.events, self.verdicts, self.letters = unique("chat-events"), unique("verdicts"), unique("dlq")
        broker.create_topics({self.events: 4, self.verdicts: 1, self.letters: 1})
        self.consumer = broker.consumer({"group.id": unique("group"), "enable.auto.commit": False})
        self.messages = [
            OutgoingMessage(self.verdicts, b"k", b"1", [], (self.events, 0, 6)),
            OutgoingMessage(self.letters, None, b"{", [("reason", b"x")], (self.events, 3, 0)),
        ]
        self.offsets = {(self.events, 0): 7, (self.events, 3): 1}

    @property
    def member(self) -> GroupMember:
        """The consumer's group metadata."""
        return self.consumer.consumer_group_metadata()

    def configure_letters(self, settings: dict[str, str]) -> None:
        """Change the settings of the dead-letter topic."""
        self._broker.configure(self.letters, settings)

    def producer(self, failures: Failures | None = None) -> FaultyProducer:
        """Return a transactional producer that fails so."""
        return FaultyProducer(self._broker.producer({"transactional.id": self._id}), failures)

    def stuck_producer(self, step: str) -> StuckClient:
        """Return a transactional producer that does not come back from a step."""
        return StuckClient(self._broker.producer({"transactional.id": self._id}), step)

    def plain_producer(self, **faults: object) -> FaultyProducer:
        """Return a producer without transactions."""
        return FaultyProducer(self._broker.producer({"enable.idempotence": True}), **faults)  # type: ignore[arg-type]

    def transactional(
        self,
        *producers: FaultyClient,
        transaction_timeout_s: float = 60.0,
        request_timeout_s: float = 10.0,
        unreachable_exit_s: float = 0.0,
        published: Published = lambda _duration_s, _n_messages: None,
        waiting: Waiting = unheard,
    ) -> TransactionalPublisher:
        """Return a publisher over these producers; the first is in use."""
        left = list(producers)
        make: Callable[[], object] = lambda: left.pop(0)  # noqa: E731
        return TransactionalPublisher(
            make,  # type: ignore[arg-type]
            transaction_timeout_s=transaction_timeout_s,
            request_timeout_s=request_timeout_s,
            unreachable_exit_s=unreachable_exit_s,
            published=published,
            waiting=waiting,
        )

    def at_least_once(
        self,
        producer: FaultyProducer,
        consumer: object = None,
        published: Published = lambda _duration_s, _n_messages: None,
    ) -> AtLeastOncePublisher:
        """Return a publisher without transactions."""
        return AtLeastOncePublisher(
            producer,  # type: ignore[arg-type]
            consumer or self.consumer,  # type: ignore[arg-type]
            request_timeout_s=10.0,
            published=published,
        )

    def assert_committed_once(self) -> None:
        """All of the batch is there, once."""
        assert [(m.key(), m.value(), m.headers()) for m in read(self._broker, self.verdicts)] == [(b"k", b"1", None)]
        assert [(m.key(), m.value(), m.headers()) for m in read(self._broker, self.letters)] == [
            (None, b"{", [("reason", b"x")])
        ]
        assert self.committed() == self.offsets

    def assert_nothing_committed(self) -> None:
        """Nothing of the batch is there for a downstream reader."""
        assert read(self._broker, self.verdicts) == read(self._broker, self.letters) == []
        assert self.committed() == {}

    def committed(self) -> dict[tuple[str, int], int]:
        """Return the offsets that the group has committed."""
        found = self.consumer.committed([TopicPartition(*place) for place in self.offsets], timeout=10)
        return {(one.topic, one.partition): one.offset for one in found if one.offset >= 0}


@pytest.fixture
def desk(broker: Broker) -> Desk:
    """Return a desk on the broker of the test."""
    return Desk(broker)


@pytest.fixture
def twin_desk(twin: Broker) -> Desk:
    """Return a desk in memory: where the fault leaves the broker nothing to do, or has no time to lose."""
    return Desk(twin)


def test_messages_and_offsets_commit_in_one_transaction(desk: Desk) -> None:
    """All of it or nothing."""
    producer = desk.producer()
    desk.transactional(producer).commit(desk.messages, desk.offsets, desk.member)
    desk.assert_committed_once()
    assert [call for call in producer.calls if call != "poll"] == [
        "init_transactions",
        "begin_transaction",
        "produce",
        "produce",
        "send_offsets_to_transaction",
        "commit_transaction",
    ]


@pytest.mark.parametrize("exactly_once", [True, False])
def test_a_message_that_names_its_partition_lies_there(broker: Broker, exactly_once: bool) -> None:
    """Whatever its key would say: whoever reads an input partition finds what was kept of it under the same number."""
    desk, topic = Desk(broker), unique("verdict-state")
    broker.create_topics({topic: 4})
    messages = [OutgoingMessage(topic, b"k", b"%d" % n, [], (desk.events, n, 6), partition=n) for n in (3, 0, 2)]
    publisher: TransactionalPublisher | AtLeastOncePublisher = (
        desk.transactional(desk.producer()) if exactly_once else desk.at_least_once(desk.plain_producer())
    )
    publisher.commit(messages, {(desk.events, 0): 7}, desk.member)
    assert sorted((m.partition(), m.value()) for m in read(broker, topic)) == [(0, b"0"), (2, b"2"), (3, b"3")]


@pytest.mark.parametrize("step", ["send_offsets_to_transaction", "commit_transaction"])
def test_a_client_that_does_not_return_is_left_behind_with_its_producer(twin_desk: Desk, step: str) -> None:
    """F8: the client's own time-out was seen not to fire; the worker would stand still for ever."""
    desk = twin_desk
    stuck, fresh = desk.stuck_producer(step), desk.producer()
    publisher = desk.transactional(stuck, fresh, request_timeout_s=0.1)
    with pytest.raises(BatchAborted, match="did not return") as aborted:
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert aborted.value.in_doubt == (step == "commit_transaction")
    publisher.commit(desk.messages, desk.offsets, desk.member)
    desk.assert_committed_once()
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
def test_an_error_that_no_retry_can_help_ends_the_process(twin_desk: Desk, step: str, code: int) -> None:
    """F13 and F19: fenced or not authorised; the text says what to do."""
    producer = twin_desk.producer({step: [kafka_failure(code, fatal=True)]})
    with pytest.raises(Fatal, match=r"another worker|grant"):
        twin_desk.transactional(producer).commit(twin_desk.messages, twin_desk.offsets, twin_desk.member)
    assert "abort_transaction" not in producer.calls


def test_a_second_publisher_of_the_same_id_ends_the_first(desk: Desk) -> None:
    """F13: two workers with one transactional id; nothing of the first one's batch is seen."""
    first = desk.transactional(desk.producer())
    second = desk.transactional(desk.producer())
    with pytest.raises(Fatal, match="another worker"):
        first.commit(desk.messages, desk.offsets, desk.member)
    desk.assert_nothing_committed()
    second.commit(desk.messages, desk.offsets, desk.member)
    desk.assert_committed_once()


@pytest.mark.parametrize("step", ["send_offsets_to_transaction", "commit_transaction"])
def test_an_abortable_error_aborts_the_transaction(desk: Desk, step: str) -> None:
    """F7: the group has moved on; the batch is read again by whoever owns it now."""
    producer = desk.producer({step: [kafka_failure(KafkaError.ILLEGAL_GENERATION, requires_abort=True)]})
    publisher = desk.transactional(producer)
    with pytest.raises(BatchAborted) as caught:
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert not caught.value.in_doubt
    assert producer.calls[-1] == "abort_transaction"
    desk.assert_nothing_committed()
    publisher.commit(desk.messages, desk.offsets, desk.member)
    assert producer.calls.count("init_transactions") == 1
    desk.assert_committed_once()


def test_a_topic_unknown_for_a_moment_aborts_and_one_that_stays_unknown_ends_the_process(
    twin_desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that comes back may not know it yet; a topic that was deleted does not come back by itself."""
    desk = twin_desk
    unknown = kafka_failure(KafkaError.UNKNOWN_TOPIC_OR_PART, requires_abort=True)
    producer = desk.producer({"commit_transaction": [unknown, unknown]})
    publisher = desk.transactional(producer)
    with pytest.raises(BatchAborted):
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert producer.calls[-1] == "abort_transaction"
    monkeypatch.setattr("worker.kafka.retry.PATIENCE_S", 0.0)
    with pytest.raises(Fatal, match="create the topic"):
        publisher.commit(desk.messages, desk.offsets, desk.member)


@pytest.mark.parametrize(
    ("changed", "told", "remedy"),
    [
        ({"cleanup.policy": "compact"}, "INVALID_RECORD", "cleanup.policy=delete"),
        ({"max.message.bytes": "1"}, "MSG_SIZE_TOO_LARGE", "raise it again"),
    ],
    ids=["compacted", "lowered limit"],
)
def test_a_message_that_a_topic_never_takes_ends_the_process_with_topic_and_remedy(
    desk: Desk, changed: dict[str, str], told: str, remedy: str
) -> None:
    """The batch was aborted for ever, and its neighbours got nothing. No transaction is left open for readers."""
    desk.configure_letters(changed)
    producer = desk.producer()
    with pytest.raises(Fatal, match=rf"{told}.*{desk.letters}.*{remedy}"):
        desk.transactional(producer).commit(desk.messages, desk.offsets, desk.member)
    assert producer.calls[-1] == "abort_transaction"
    desk.assert_nothing_committed()


def test_a_message_that_fails_while_the_offsets_are_sent_is_named_too(desk: Desk) -> None:
    """The client then speaks of a wrong state only, and the batch was tried again."""
    desk.configure_letters({"cleanup.policy": "compact"})
    producer = desk.producer({"send_offsets_to_transaction": [kafka_failure(KafkaError._STATE)]})
    with pytest.raises(Fatal, match=rf"INVALID_RECORD.*{desk.letters}"):
        desk.transactional(producer).commit(desk.messages, desk.offsets, desk.member)
    desk.assert_nothing_committed()


def test_at_least_once_ends_on_such_a_message_too_and_repeats_its_neighbours_no_more(desk: Desk) -> None:
    """It wrote two verdicts eighteen times within 20 s."""
    desk.configure_letters({"cleanup.policy": "compact"})
    with pytest.raises(Fatal, match=rf"publishing to {desk.letters}: INVALID_RECORD.*cleanup.policy=delete"):
        desk.at_least_once(desk.plain_producer()).commit(desk.messages, desk.offsets, desk.member)
    assert desk.committed() == {}


def test_offsets_whose_notes_no_broker_takes_end_the_process(twin_desk: Desk) -> None:
    """The same kind: the next try ends in the same way."""
    refused = kafka_failure(KafkaError.OFFSET_METADATA_TOO_LARGE, requires_abort=True)
    producer = twin_desk.producer({"send_offsets_to_transaction": [refused]})
    with pytest.raises(Fatal, match=r"offset\.metadata\.max\.bytes"):
        twin_desk.transactional(producer).commit(twin_desk.messages, twin_desk.offsets, twin_desk.member)


@pytest.mark.parametrize("code", [KafkaError.NOT_ENOUGH_REPLICAS, KafkaError._MSG_TIMED_OUT, KafkaError.INVALID_MSG])
def test_a_message_that_is_not_taken_now_is_tried_again(twin_desk: Desk, code: int) -> None:
    """F14: copies that are missing come back."""
    producer = twin_desk.producer({"commit_transaction": [kafka_failure(code, requires_abort=True)]})
    publisher = twin_desk.transactional(producer)
    with pytest.raises(BatchAborted):
        publisher.commit(twin_desk.messages, twin_desk.offsets, twin_desk.member)
    publisher.commit(twin_desk.messages, twin_desk.offsets, twin_desk.member)
    twin_desk.assert_committed_once()


def test_whoever_watches_hears_that_kafka_is_waited_for(twin_desk: Desk) -> None:
    """Liveness must not fail meanwhile; a restart would not bring the brokers back."""
    told: list[str] = []
    old = twin_desk.producer({"commit_transaction": [kafka_failure(KafkaError._TIMED_OUT)]})
    new = twin_desk.producer({"init_transactions": [kafka_failure(KafkaError._TIMED_OUT)] * 2})
    publisher = twin_desk.transactional(old, new, unreachable_exit_s=60.0, waiting=told.append)
    del told[:]
    with pytest.raises(BatchAborted):
        publisher.commit(twin_desk.messages, twin_desk.offsets, twin_desk.member)
    assert told[:3] == ["committing", "committing", "initialising transactions of "]
    assert [text.rpartition(": ")[0] for text in told[3:]] == ["initialising transactions of : _TIMED_OUT"] * 2


def test_a_commit_without_an_answer_is_never_repeated(desk: Desk) -> None:
    """F11: the producer is thrown away, a new one fences it, and the committed offsets will tell what happened."""
    old = desk.producer({"commit_transaction": [kafka_failure(KafkaError._TIMED_OUT)]})
    new = desk.producer()
    publisher = desk.transactional(old, new)
    with pytest.raises(BatchAborted) as caught:
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert caught.value.in_doubt
    assert old.calls.count("commit_transaction") == 1
    assert "abort_transaction" not in old.calls
    assert new.calls == ["init_transactions"]
    publisher.commit(desk.messages, desk.offsets, desk.member)
    assert new.calls.count("commit_transaction") == 1
    desk.assert_committed_once()


@pytest.mark.parametrize("step", ["begin_transaction", "send_offsets_to_transaction"])
def test_a_transaction_that_gets_no_answer_is_left_to_the_broker(desk: Desk, step: str) -> None:
    """F8: a client that lost its broker in the middle of a transaction is not trusted with the next one."""
    old, new = desk.producer({step: [kafka_failure(KafkaError._TIMED_OUT)]}), desk.producer()
    publisher = desk.transactional(old, new)
    with pytest.raises(BatchAborted):
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert "commit_transaction" not in old.calls
    publisher.commit(desk.messages, desk.offsets, desk.member)
    assert "commit_transaction" in new.calls
    desk.assert_committed_once()


@pytest.mark.parametrize(
    "refused",
    [kafka_failure(KafkaError._TIMED_OUT), kafka_failure(KafkaError.INVALID_TXN_STATE, fatal=True)],
    ids=["no answer", "before the broker knows of the transaction"],
)
def test_an_abort_that_fails_throws_the_producer_away(desk: Desk, refused: KafkaException) -> None:
    """It is as open as a commit without an answer; the second case ended the worker with exit code 3."""
    old = desk.producer(
        {
            "send_offsets_to_transaction": [kafka_failure(KafkaError.UNKNOWN_MEMBER_ID, requires_abort=True)],
            "abort_transaction": [refused],
        }
    )
    new = desk.producer()
    publisher = desk.transactional(old, new)
    with pytest.raises(BatchAborted):
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert old.calls[-1] == "purge"
    assert new.calls == ["init_transactions"]
    desk.assert_nothing_committed()


def test_a_transaction_that_the_broker_timed_out_does_not_end_the_process(twin_desk: Desk) -> None:
    """F12: a stalled worker is fenced by its own timeout, not by a second worker; it goes on with a new producer."""
    desk = twin_desk
    old = desk.producer({"commit_transaction": [kafka_failure(KafkaError._FENCED, fatal=True)]})
    publisher = desk.transactional(old, desk.producer(), transaction_timeout_s=0.0)
    with pytest.raises(BatchAborted):
        publisher.commit(desk.messages, desk.offsets, desk.member)


def test_a_full_queue_is_waited_for(desk: Desk) -> None:
    """F15: backpressure, nothing dropped, nothing sent twice."""
    producer = desk.producer({"produce": [BufferError("full"), BufferError("full")]})
    desk.transactional(producer).commit(desk.messages, desk.offsets, desk.member)
    desk.assert_committed_once()
    assert producer.calls.count("poll") >= 2


def test_a_queue_that_stays_full_aborts_the_batch(twin_desk: Desk) -> None:
    """A broker that takes nothing must not hold the worker for ever."""
    desk = twin_desk
    producer = desk.producer({"produce": [BufferError("full")] * 100_000})
    publisher = desk.transactional(producer, request_timeout_s=0.0)
    with pytest.raises(BatchAborted, match="stayed full"):
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert "abort_transaction" in producer.calls
    assert "commit_transaction" not in producer.calls
    desk.assert_nothing_committed()


def test_a_producer_that_cannot_be_replaced_ends_the_process_and_can_still_be_closed(twin_desk: Desk) -> None:
    """Law 4: past a stated time the process exits; taking it apart must not hide the reason."""
    desk = twin_desk
    old = desk.producer({"commit_transaction": [kafka_failure(KafkaError._TIMED_OUT)]})
    new = desk.producer({"init_transactions": [kafka_failure(KafkaError._TIMED_OUT)] * 3})
    publisher = desk.transactional(old, new)
    with pytest.raises(Fatal, match="no success within"):
        publisher.commit(desk.messages, desk.offsets, desk.member)
    publisher.close()


def test_callbacks_are_served_while_a_new_producer_waits_for_its_broker(twin_desk: Desk) -> None:
    """F16: the loop waits meanwhile, and readiness hears of an absent broker through the error callback."""
    desk = twin_desk
    old = desk.producer({"commit_transaction": [kafka_failure(KafkaError._TIMED_OUT)]})
    new = desk.producer({"init_transactions": [kafka_failure(KafkaError._TIMED_OUT)]})
    publisher = desk.transactional(old, new, unreachable_exit_s=60.0)
    with pytest.raises(BatchAborted):
        publisher.commit(desk.messages, desk.offsets, desk.member)
    assert new.calls == ["init_transactions", "poll", "init_transactions"]


def test_offsets_commit_after_every_message_is_acknowledged(desk: Desk) -> None:
    """At least once: verdicts first, offsets second."""
    producer = desk.plain_producer()
    desk.at_least_once(producer).commit(desk.messages, desk.offsets, desk.member)
    assert producer.calls[-1] == "flush"
    desk.assert_committed_once()


def test_nothing_is_committed_when_a_verdict_is_not_delivered(desk: Desk) -> None:
    """An unacknowledged verdict leaves the offset where it was."""
    producer = desk.plain_producer(delivery_error=KafkaError(KafkaError._MSG_TIMED_OUT))
    with pytest.raises(BatchAborted, match="publishing"):
        desk.at_least_once(producer).commit(desk.messages, desk.offsets, desk.member)
    assert desk.committed() == {}


def test_nothing_is_committed_while_acknowledgements_are_missing(desk: Desk) -> None:
    """And what was not acknowledged is not sent behind the back of the batch that is read again."""
    producer = desk.plain_producer(n_unacknowledged=1)
    with pytest.raises(BatchAborted, match="1 of 2 messages"):
        desk.at_least_once(producer).commit(desk.messages, desk.offsets, desk.member)
    assert desk.committed() == {}
    assert producer.calls[-1] == "purge"


def test_a_group_that_refuses_the_offsets_has_the_batch_read_again(desk: Desk) -> None:
    """The partitions are somebody else's now."""
    consumer = FaultyClient(desk.consumer, {"commit": [kafka_failure(KafkaError.ILLEGAL_GENERATION)]})
    with pytest.raises(BatchAborted, match="committing offsets"):
        desk.at_least_once(desk.plain_producer(), consumer).commit(desk.messages, desk.offsets, desk.member)


def test_a_refused_topic_ends_the_process_in_this_mode_too(twin_desk: Desk) -> None:
    """F19."""
    desk = twin_desk
    producer = desk.plain_producer(delivery_error=KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(Fatal, match="grant Read"):
        desk.at_least_once(producer).commit(desk.messages, desk.offsets, desk.member)


def test_messages_without_offsets_are_published_and_move_none(desk: Desk) -> None:
    """A person's decision on a record that was read long ago."""
    desk.transactional(desk.producer()).commit(desk.messages, {}, desk.member)
    desk.at_least_once(desk.plain_producer()).commit(desk.messages, {}, desk.member)
    assert len(read(desk._broker, desk.verdicts)) == 2
    assert desk.committed() == {}


def test_the_time_to_hand_messages_over_is_told_apart_from_the_commit(twin_desk: Desk) -> None:
    """So that a load test can say whether the producer or the transaction is slow."""
    desk, told = twin_desk, []

    def published(_duration_s: float, n_messages: int) -> None:
        told.append(n_messages)

    desk.transactional(desk.producer(), published=published).commit(desk.messages, desk.offsets, desk.member)
    desk.at_least_once(desk.plain_producer(), published=published).commit(desk.messages, desk.offsets, desk.member)
    assert told == [2, 2]
