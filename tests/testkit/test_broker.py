"""Sender, readers and topics on a real broker."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack
from testkit.errors import HarnessError
from testkit.reader import BackgroundReader, Reader, read_all
from testkit.records import InputRecord, Place, place_of
from testkit.sender import Sender
from testkit.topics import Topics, fresh_topics
from testkit.waiting import wait_until

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def stack() -> Iterator[LocalStack]:
    """One broker for this module."""
    with LocalStack() as running:
        yield running


@pytest.fixture
def topics(stack: LocalStack) -> Iterator[Topics]:
    """Return topics of one test."""
    with fresh_topics(stack.bootstrap_servers, prefix="test", n_partitions=2) as found:
        yield found


def write(topics: Topics, *values: bytes, commit: bool = True) -> None:
    """Write records to the verdict topic in one transaction."""
    producer = Producer({"bootstrap.servers": topics.bootstrap_servers, "transactional.id": topics.verdicts})
    producer.init_transactions(30)
    producer.begin_transaction()
    for value in values:
        producer.produce(topics.verdicts, value, partition=0)
    producer.flush(30)
    producer.commit_transaction(30) if commit else producer.abort_transaction(30)


def test_topics_are_there_in_the_block_and_gone_after_it(stack: LocalStack) -> None:
    """No number holds the traffic of another run."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    with fresh_topics(stack.bootstrap_servers, prefix="test", n_partitions=2) as topics:
        known = admin.list_topics(timeout=20).topics
        assert [len(known[name].partitions) for name in topics.names] == [2, 2, 2]
    wait_until(lambda: not known.keys() & admin.list_topics(timeout=20).topics.keys() & set(topics.names), timeout_s=30)


def test_a_sender_tells_where_each_record_lies_and_keeps_key_value_and_headers(topics: Topics) -> None:
    """The ledger knows a record by its place."""
    places: list[Place] = []
    records = [InputRecord(b"k", b"1", (("trace", b"t"),)), InputRecord(None, None)]
    with closing(Sender(topics.bootstrap_servers, topics.events)) as sender:
        for partition, record in enumerate(records):
            sender.send(record, partition=partition, on_place=places.append)
        sender.flush()
    assert sorted(places) == [Place(topics.events, 0, 0), Place(topics.events, 1, 0)]
    found = sorted(read_all(topics.bootstrap_servers, [topics.events]))
    assert [(one.key, one.value, one.headers) for one in found] == [(b"k", b"1", {"trace": "t"}), (None, None, {})]


def test_a_record_that_the_broker_refuses_is_told(topics: Topics) -> None:
    """A run whose events never arrived would look like one that lost them."""
    with closing(Sender(topics.bootstrap_servers, topics.events, {"message.max.bytes": 1_000_000_000})) as sender:
        sender.send(InputRecord(b"k", b"x" * 30_000_000))
        with pytest.raises(HarnessError, match=f"1 records did not reach {topics.events}"):
            sender.flush()


def test_aborted_records_are_seen_by_none_but_who_asks_for_them(topics: Topics) -> None:
    """I4 hangs on it."""
    write(topics, b"kept")
    write(topics, b"aborted", commit=False)
    assert [record.value for record in read_all(topics.bootstrap_servers, topics.outputs)] == [b"kept"]
    uncommitted = read_all(topics.bootstrap_servers, topics.outputs, "read_uncommitted")
    assert [record.value for record in uncommitted] == [b"kept", b"aborted"]


def test_a_reader_reads_each_record_once_whether_one_by_one_or_to_the_end(topics: Topics) -> None:
    """What was polled before does not come again."""
    write(topics, b"first", b"second")
    with closing(Reader(topics.bootstrap_servers, topics.outputs)) as reader:
        first = wait_until(lambda: reader.poll(1.0), timeout_s=60)
        assert (first.value(), place_of(first)) == (b"first", Place(topics.verdicts, 0, 0))
        assert [message.value() for message in reader.read_to_end()] == [b"second"]
        write(topics, b"third")
        assert [message.value() for message in reader.read_to_end()] == [b"third"]


def test_a_background_reader_hands_on_what_comes_and_may_change_hands(topics: Topics) -> None:
    """One reader serves the warm-up and the run."""
    first: list[bytes | None] = []
    second: list[bytes | None] = []
    with BackgroundReader(topics, lambda messages, _: first.extend(message.value() for message in messages)) as reader:
        write(topics, b"1")
        wait_until(lambda: reader.n_read == 1, timeout_s=60)
        reader.take = lambda messages, _: second.extend(message.value() for message in messages)
        write(topics, b"2")
        wait_until(lambda: reader.n_read == 2, timeout_s=60)
        reader.check()
    assert (first, second) == ([b"1"], [b"2"])
