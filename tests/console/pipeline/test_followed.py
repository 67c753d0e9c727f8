"""Topics of a real broker, as the pages get them."""

from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from console.pipeline.errors import PipelineAway
from console.pipeline.history import Histories, explained
from console.pipeline.live.board import Wanted
from console.pipeline.live.follower import Live
from console.pipeline.states import KafkaCheck
from console.pipeline.text import Texts
from console.store.store import now_ms
from deploy.local import LocalStack
from schemas import Decision, Source, encode_verdict
from schemas.override import ALLOW_LASTS, Override, OverrideScope, encode_override
from testkit.waiting import wait_until
from tests.brokers import RealBroker, unique
from tests.console.operations import worker_settings
from tests.schemas.payloads import make_verdict
from tests.worker.explain.records import letter_record
from worker.kafka.murmur2 import partition_of
from worker.settings.worker import WorkerSettings

CHAT = "chat 'one' \u202e/../%00"
WAIT_S = 60
ALL = Wanted()


class Topics:
    """Topics of one test, and a writer."""

    def __init__(self, broker: RealBroker) -> None:
        self.broker = broker
        names = {name: unique(name.replace("_", "-")) for name in ("input_topic", "verdict_topic", "dead_letter_topic")}
        names |= {name: unique(name.replace("_", "-")) for name in ("reviews_topic", "overrides_topic", "group_id")}
        self.names = names
        self.settings: WorkerSettings = worker_settings(broker.bootstrap_servers, **names)
        broker.create_topics({topic: 2 for name, topic in names.items() if name != "group_id"})
        self._producer: Producer = broker.producer({"enable.idempotence": True, "partitioner": "murmur2_random"})

    def write(self, name: str, key: str, value: bytes | None, **more: Any) -> None:
        """Write a record under a key."""
        self._producer.produce(self.names[name], key=key.encode(), value=value, **more)
        assert self._producer.flush(WAIT_S) == 0

    def verdict(self, offset: int, chat_id: str = CHAT, **fields: Any) -> None:
        """Write a verdict."""
        source = Source(topic=self.names["input_topic"], partition=0, offset=offset, timestamp_ms=1_000 + offset)
        verdict = make_verdict(chat_id=chat_id, source=source, verdict_id=f"{offset:032x}", **fields)
        self.write("verdict_topic", chat_id, encode_verdict(verdict))

    def commit(self, partition: int, offset: int) -> None:
        """Commit as the workers' group."""
        consumer: Consumer = self.broker.consumer({"group.id": self.names["group_id"], "enable.auto.commit": False})
        consumer.commit(offsets=[TopicPartition(self.names["input_topic"], partition, offset)], asynchronous=False)
        consumer.close()


@pytest.fixture
def topics(stack: LocalStack) -> Iterator[Topics]:
    """Return topics of the test's own."""
    broker = RealBroker(stack.bootstrap_servers)
    yield Topics(broker)
    broker.close()


def test_what_passes_is_followed_from_the_last_hour_on(topics: Topics) -> None:
    """Committed records of all partitions, what came before the start too; lag by partition; no group is joined."""
    long_ago = 1_600_000_000_000
    topics.write("verdict_topic", "old", encode_verdict(make_verdict(chat_id="old")), timestamp=long_ago)
    for offset in range(6):
        topics.verdict(offset, chat_id=f"chat-{offset}")
    letter = letter_record(7)
    topics.write("dead_letter_topic", "chat-9", b"{}", headers=list(letter.headers))
    topics.write("reviews_topic", "chat-9", b"{}")
    topics.write("verdict_topic", "odd", b"no verdict")
    for _ in range(3):
        topics.write("input_topic", CHAT, b"{}")
    partition = partition_of(CHAT.encode(), 2)
    topics.commit(partition, 1)
    live = Live(topics.settings, 60)
    live.start()
    wait_until(lambda: not live.figures()["reads_back"], timeout_s=WAIT_S, what=lambda: str(live.figures()))
    shown = {one.chat_id for one in live.newest("", ALL).rows}
    assert shown == {f"chat-{offset}" for offset in range(6)}
    figures = live.figures()
    assert figures["totals"]["decision"] == {"allow": 6}
    assert figures["totals"]["letter"] == {"schema_error": 1}
    assert figures["totals"]["review"] == {"": 1}
    assert figures["totals"]["unreadable"] == {"": 1}
    cursor = live.newest("", ALL).cursor
    topics.verdict(7, decision=Decision.BLOCK)
    wait_until(lambda: live.newest(cursor, ALL).rows, timeout_s=WAIT_S)
    (row,) = live.newest(cursor, ALL).rows
    assert (row.chat_id, row.said[0][1]) == (CHAT, "block")
    lag = wait_until(lambda: live.figures()["lag"], timeout_s=WAIT_S)
    assert lag["total"] == 2
    assert [one["lag"] for one in lag["partitions"]] == [2 if number == partition else None for number in (0, 1)]
    assert lag["members"] == []
    assert live.figures()["fault"] is None
    live.close()
    assert KafkaCheck(topics.settings.kafka)() is None


def test_a_board_is_readable_while_kafka_is_away() -> None:
    """With the cause."""
    live = Live(worker_settings(), 60)
    live.start()
    wait_until(lambda: live.figures()["fault"], timeout_s=WAIT_S)
    assert "127.0.0.1:1" in live.figures()["fault"]
    assert live.newest("", ALL).rows == []
    assert live.figures()["lag"] is None
    live.close()


def test_a_chats_history_is_read_backwards_with_what_stands(topics: Topics) -> None:
    """What is of this hour and what is older, each once; with the override that stands."""
    day_ms = 86_400_000
    now = now_ms()
    for offset, age_ms in enumerate((30 * day_ms, 2 * day_ms, 3 * 3_600_000, 60_000)):
        verdict = make_verdict(
            chat_id=CHAT,
            source=Source(topic=topics.names["input_topic"], partition=0, offset=offset, timestamp_ms=1_000 + offset),
        )
        topics.write("verdict_topic", CHAT, encode_verdict(verdict), timestamp=now - age_ms)
    decided = make_verdict().decided_at.replace(year=2030)
    override = Override(
        chat_id=CHAT,
        policy="*",
        scope=OverrideScope.CHAT,
        decision=Decision.BLOCK,
        decided_at=decided,
        expires_at=decided + 3_650 * ALLOW_LASTS,
        actor="ann",
        reason="other",
        source=Source(topic="t", partition=0, offset=0, timestamp_ms=0),
        revision=1,
    )
    own = partition_of(CHAT.encode(), 2)
    topics.write("overrides_topic", override.key.decode(), encode_override(override), partition=own)
    found = explained(topics.settings, CHAT, 50)
    assert [one["source"]["offset"] for one in found["outcomes"]] == [0, 1, 2, 3]
    assert (found["complete"], found["n_outcomes"], found["looked_back_to"]) == (True, 4, None)
    assert [one["actor"] for one in found["overrides"]] == ["ann"]
    # A search that has no time left says how far it came.
    times = iter([0.0, 0.0, *[100.0] * 1_000])
    stopped = Histories(topics.settings, clock=lambda: next(times)).of(CHAT, limit=50, within_s=20.0)
    assert not stopped["complete"]
    assert stopped["n_outcomes"] < 4
    # Nor does one hold up the end of the process.
    closed = Histories(topics.settings)
    closed.close()
    assert not closed.of(CHAT, limit=50)["complete"]


def test_a_text_is_read_from_the_topic_and_kafka_away_is_told(topics: Topics) -> None:
    """On a connection of its own."""
    topics.write("input_topic", CHAT, b'{"chat_id": "c", "messages": [{"role": "user", "content": "hello"}]}')
    texts = Texts(topics.settings)
    found = texts.of(topics.names["input_topic"], partition_of(CHAT.encode(), 2), 0, "c")
    assert found is not None
    assert found.turns[0].text == "hello"
    texts.close()
    with pytest.raises(PipelineAway):
        Histories(worker_settings()).of(CHAT, limit=5)


def test_a_missing_topic_is_said_and_found_once_it_is_there(stack: LocalStack) -> None:
    """The lag as the verdicts: nothing has to be started anew."""
    broker = RealBroker(stack.bootstrap_servers)
    names = {name: unique(name.replace("_", "-")) for name in ("input_topic", "verdict_topic", "dead_letter_topic")}
    live = Live(worker_settings(broker.bootstrap_servers, **names, group_id=unique("group")), 60)
    live.start()
    wait_until(lambda: "lacks the topics" in (live.figures()["fault"] or ""), timeout_s=WAIT_S)
    broker.create_topics(dict.fromkeys(names.values(), 1))
    wait_until(lambda: live.figures()["lag"] and not live.figures()["reads_back"], timeout_s=WAIT_S)
    assert live.figures()["fault"] is None
    assert live.figures()["lag"]["total"] is None
    live.close()
    broker.close()
