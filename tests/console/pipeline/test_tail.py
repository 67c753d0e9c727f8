"""Following topics: where it begins, and when it has caught up."""

import pytest

from console.pipeline.errors import PipelineAway
from console.pipeline.live import tail as tails
from console.pipeline.live.tail import TopicTail, open_tail
from testkit.waiting import wait_until
from tests.broker_twin.clients import LIMIT_S, transactional, write, write_in_transaction
from tests.brokers import Broker, RealBroker, unique
from tests.console.operations import worker_settings
from worker.kafka.client import KafkaConsumer
from worker.kafka.probe import open_admin


def reader(broker: Broker) -> KafkaConsumer:
    """Return a consumer as the tail's."""
    config = {"group.id": unique("tail"), "enable.partition.eof": True, "auto.offset.reset": "earliest"}
    return broker.consumer(config | {"enable.auto.commit": False, "isolation.level": "read_committed"})


def test_it_has_caught_up_behind_markers_and_aborted_records(broker: Broker) -> None:
    """They are never delivered; only the end of the partition tells of them."""
    topic = unique("verdicts")
    broker.create_topics({topic: 2})
    write(broker, topic, [b"0", b"1"])
    producer = transactional(broker)
    write_in_transaction(producer, topic, [b"aborted"])
    producer.abort_transaction(LIMIT_S)
    with TopicTail(reader(broker), {(topic, 0): (1, 4), (topic, 1): (0, 0)}, timeout_s=10) as tail:
        assert tail.is_back
        read = []

        def has_caught_up() -> bool:
            read.extend(tail.poll(0.2))
            return not tail.is_back

        wait_until(has_caught_up, timeout_s=LIMIT_S)
        assert [one.value for one in read] == [b"1"]
        write(broker, topic, [b"later"], partition=1)
        wait_until(lambda: read.extend(tail.poll(0.2)) or len(read) == 2, timeout_s=LIMIT_S)
        assert read[-1].place == (topic, 1, 0)
        assert tail.fault is None


@pytest.mark.services
def test_a_busy_topic_is_read_back_for_so_many_records(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it is told that counts begin later."""
    broker = RealBroker(request.getfixturevalue("stack").bootstrap_servers)
    names = {name: unique("t") for name in ("verdict_topic", "dead_letter_topic")}
    settings = worker_settings(broker.bootstrap_servers, **names).kafka
    admin = open_admin(settings)
    with pytest.raises(PipelineAway, match="lacks the topics"):
        open_tail(settings, admin, names.values(), (), since_ms=0)
    broker.create_topics(dict.fromkeys(names.values(), 1))
    write(broker, names["verdict_topic"], [b"%d" % i for i in range(10)])
    monkeypatch.setattr(tails, "MOST_BACK", 3)
    with open_tail(settings, admin, names.values(), ["not-there"], since_ms=0) as tail:
        read = []
        wait_until(lambda: read.extend(tail.poll(0.2)) or not tail.is_back, timeout_s=LIMIT_S)
        assert [one.value for one in read] == [b"7", b"8", b"9"]
        assert tail.is_cut
    broker.close()
