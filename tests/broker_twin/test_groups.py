"""Consumer groups: who has which partition, and what is committed; on the twin and on a real broker."""

import pytest
from confluent_kafka import OFFSET_INVALID, KafkaException, TopicPartition

from tests.broker_twin.broker import TwinBroker
from tests.broker_twin.clients import LIMIT_S, Member, consumer_of, poll_until, take, values, write
from tests.brokers import Broker, unique


@pytest.fixture
def topic(broker: Broker) -> str:
    """Create a topic with two partitions."""
    name = unique("events")
    broker.create_topics({name: 2})
    return name


@pytest.fixture
def group() -> str:
    """Return the name of a group of this test's own."""
    return unique("group")


def test_the_only_member_is_given_everything_and_begins_where_it_says(broker: Broker, topic: str, group: str) -> None:
    """The callback chooses the offsets."""
    write(broker, topic, [b"0", b"1", b"2"])
    member = Member(broker, topic, group, start=1)
    assert values(take(member.client, 2)) == [b"1", b"2"]
    assert member.calls == [("assign", [0, 1])]
    assert member.client.memberid()
    member.client.close()


def test_a_second_member_takes_its_share_after_the_first_has_given_it_up(
    broker: Broker, topic: str, group: str
) -> None:
    """No partition has two readers, and what stays is not interrupted."""
    first = Member(broker, topic, group)
    poll_until(first.client, lambda: len(first.owned) == 2)
    second = Member(broker, topic, group)
    poll_until(first.client, lambda: len(first.owned) == len(second.owned) == 1, second.client)
    assert first.kinds == ["assign", "revoke"]
    assert second.kinds == ["assign"]
    assert first.owned | second.owned == {0, 1}
    second.client.close()
    poll_until(first.client, lambda: len(first.owned) == 2)
    first.client.close()


def test_a_member_that_closes_gives_everything_back(broker: Broker, topic: str, group: str) -> None:
    """Within close, so that a commit in flight can be waited for."""
    member = Member(broker, topic, group)
    poll_until(member.client, lambda: len(member.owned) == 2)
    member.client.close()
    assert member.kinds == ["assign", "revoke"]


def test_a_member_for_whom_nothing_is_left_is_told_so(broker: Broker, group: str) -> None:
    """It has joined, and is ready."""
    topic = unique("one")
    broker.create_topics({topic: 1})
    first, second = Member(broker, topic, group), Member(broker, topic, group)
    poll_until(first.client, lambda: bool(first.calls and second.calls), second.client)
    poll_until(first.client, lambda: len(first.owned | second.owned) == 1, second.client)
    assert sorted([len(first.owned), len(second.owned)]) == [0, 1]
    first.client.close()
    second.client.close()


def test_a_member_that_does_not_poll_gives_its_partitions_up_and_may_join_again(
    broker: Broker, topic: str, group: str
) -> None:
    """They are another's by the time it hears of it; its client has left by itself, so that they count as revoked."""
    slow = Member(broker, topic, group, max_poll_interval_ms=1_000, session_timeout_ms=1_000)
    poll_until(slow.client, lambda: len(slow.owned) == 2)
    other = Member(broker, topic, group)
    # Served before the first member learns that it was dropped.
    poll_until(other.client, lambda: len(other.owned) == 2)
    assert not slow.client.memberid()
    poll_until(slow.client, lambda: len(slow.owned) == 1, other.client)
    assert slow.kinds[:2] == ["assign", "revoke"]
    slow.client.close()
    other.client.close()


def test_a_member_that_the_coordinator_drops_loses_its_partitions(twin: TwinBroker, group: str) -> None:
    """In memory only: no client can ask a real coordinator for it; the tests of lost heartbeats have it happen."""
    topic = unique("events")
    twin.create_topics({topic: 2})
    member = Member(twin, topic, group)
    poll_until(member.client, lambda: len(member.owned) == 2)
    twin.group(group).leave(member.client.memberid())
    assert not member.client.memberid()
    poll_until(member.client, lambda: member.kinds == ["assign", "lost", "assign"])


def test_a_member_that_leaves_and_subscribes_again_gets_its_partitions_back(
    broker: Broker, topic: str, group: str
) -> None:
    """How the worker joins again where the coordinator thinks otherwise than it does."""
    member = Member(broker, topic, group)
    poll_until(member.client, lambda: len(member.owned) == 2)
    member.client.unsubscribe()
    member.subscribe()
    poll_until(member.client, lambda: member.kinds == ["assign", "revoke", "assign"])
    assert member.owned == {0, 1}
    member.client.close()


def test_committed_offsets_are_the_groups_own_with_the_text_beside_them(broker: Broker, topic: str, group: str) -> None:
    """What nobody has committed has no offset."""
    member = Member(broker, topic, group)
    poll_until(member.client, lambda: len(member.owned) == 2)
    member.client.commit(offsets=[TopicPartition(topic, 0, 5, "note")], asynchronous=False)
    places = [TopicPartition(topic, 0), TopicPartition(topic, 1)]
    for reader in (member.client, consumer_of(broker, group)):
        one, other = reader.committed(places, timeout=LIMIT_S)
        assert ((one.offset, one.metadata), other.offset) == ((5, "note"), OFFSET_INVALID)
    assert consumer_of(broker).committed(places, timeout=LIMIT_S)[0].offset == OFFSET_INVALID
    member.client.close()


def test_a_consumer_that_is_no_member_cannot_commit_for_a_group_that_has_some(
    broker: Broker, topic: str, group: str
) -> None:
    """Outside of transactions, members fence everybody else."""
    member = Member(broker, topic, group)
    poll_until(member.client, lambda: len(member.owned) == 2)
    with pytest.raises(KafkaException):
        consumer_of(broker, group).commit(offsets=[TopicPartition(topic, 0, 5)], asynchronous=False)
    member.client.close()
