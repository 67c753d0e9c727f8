"""Where a chat is looked for."""

from collections.abc import Iterator, Sequence

import pytest

from tests.worker.explain.records import CHAT, letter_record, record, verdict_record
from tests.worker.payloads import kafka_settings
from worker.explain.look import ChatSearch, Placement, Stopped, TopicLook
from worker.explain.outcomes import ChatHistory
from worker.explain.text import looked_through
from worker.kafka.murmur2 import partition_of
from worker.kafka.partition_range import PartitionRange
from worker.kafka.topic_scan import ScannedRecord
from worker.settings.worker import WorkerSettings

N_PARTITIONS = 4
HOME = partition_of(CHAT.encode(), N_PARTITIONS)
ELSEWHERE = (HOME + 1) % N_PARTITIONS
SETTINGS = WorkerSettings(kafka=kafka_settings())


def other_key(partition: int) -> bytes:
    """Return a key that murmur2 puts there."""
    return next(key for i in range(1_000) if partition_of(key := b"other-%d" % i, N_PARTITIONS) == partition)


class StandInTopics:
    """Topics in memory.

    Args:
        records: What they hold.
    """

    def __init__(self, *records: ScannedRecord) -> None:
        self._records = records

    def looks(self) -> list[TopicLook]:
        """Return what there is to look through."""
        return [
            TopicLook(
                topic,
                HOME,
                tuple(
                    PartitionRange(topic=topic, partition=partition, start=0, end=100)
                    for partition in range(N_PARTITIONS)
                ),
            )
            for topic in ("verdicts", "chat-events.dlq")
        ]

    def scan(self, ranges: Sequence[PartitionRange]) -> Iterator[list[ScannedRecord]]:
        """Yield the records of ranges."""
        inside = {one.place: one for one in ranges}
        yield [
            one
            for one in self._records
            if (span := inside.get((one.topic, one.partition))) and span.start <= one.offset < span.end
        ]


def search(topics: StandInTopics, *, everywhere: bool = False) -> tuple[ChatHistory, list[TopicLook]]:
    """Look through topics; return what was found, and where it was looked."""
    history, looks = ChatHistory(limit=100), topics.looks()
    ChatSearch(CHAT, SETTINGS, history, scan=topics.scan, stopping=lambda: False).run(looks, everywhere=everywhere)
    return history, looks


def test_only_the_chats_partition_is_read_where_every_key_lies_where_it_should() -> None:
    """One of a hundred partitions takes a hundredth of the time."""
    topics = StandInTopics(
        verdict_record(1, partition=HOME), record("verdicts", ELSEWHERE, 1, other_key(ELSEWHERE), b"{}")
    )
    history, looks = search(topics)
    assert history.n_found == 1
    assert [look.read for look in looks] == [[HOME], [HOME]]
    assert "where murmur2 puts the chat" in looked_through(looks)[0]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        (None, "without a key"),
        (b'"chat-2"', "no bare chat ids"),
        (b"\0\0\0\0\1chat-2", "no bare chat ids"),
        (other_key(HOME), "in other partitions"),
    ],
)
def test_a_topic_whose_records_may_lie_anywhere_is_read_whole(key: bytes | None, why: str) -> None:
    """Keyless records, other key forms, and a topic that once had fewer partitions; said, with the reason."""
    letter = letter_record(7, partition=ELSEWHERE, key=CHAT.encode())
    topics = StandInTopics(letter, record("chat-events.dlq", ELSEWHERE, 1, key, b"no event"))
    history, looks = search(topics)
    assert [one.place for one in history.outcomes()] == [letter.place]
    assert [sorted(look.read) for look in looks] == [[HOME], [0, 1, 2, 3]]
    assert looks[1].whole_because is not None
    assert why in looks[1].whole_because
    assert why in looked_through(looks)[1]


@pytest.mark.parametrize("key", [b'"chat-1"', b"\0\0\0\0\1chat-1"])
def test_a_dead_letter_under_another_form_of_the_key_is_the_chats(key: bytes) -> None:
    """Upstream's client decides on the form, and murmur2 puts it elsewhere."""
    letter = letter_record(7, partition=ELSEWHERE, key=key)
    history, _ = search(StandInTopics(letter))
    assert [one.place for one in history.outcomes()] == [letter.place]


def test_a_record_without_a_key_far_from_the_start_is_noticed_in_the_chats_partition() -> None:
    """The sample is of each partition's first records; the chat's own is read whole."""
    late = record("chat-events.dlq", HOME, 90, None, b"no event")
    assert search(StandInTopics(late))[1][1].whole_because is not None


def test_all_partitions_are_read_once_where_that_is_asked_for() -> None:
    """And nothing is counted twice."""
    history, looks = search(StandInTopics(verdict_record(1, partition=HOME)), everywhere=True)
    assert (history.n_found, looks[0].n_records) == (1, 1)
    assert [look.read for look in looks] == [[0, 1, 2, 3]] * 2


def test_a_stop_keeps_what_was_found() -> None:
    """Ctrl-C in an hour of reading."""
    topics = StandInTopics(verdict_record(1, partition=HOME))
    history, looks, n_asked = ChatHistory(limit=1), topics.looks(), iter([False, False, True])
    with pytest.raises(Stopped):
        ChatSearch(CHAT, SETTINGS, history, scan=topics.scan, stopping=lambda: next(n_asked)).run(looks)
    assert history.n_found == 1
    assert "not reached" in looked_through(looks)[1]


def test_hashing_of_keys_is_bounded() -> None:
    """A topic of a hundred million records is read at the client's speed, not at that of a hash in Python."""
    placement = Placement(N_PARTITIONS, n_hashed=20_000)
    placement.see(other_key(ELSEWHERE), HOME)
    assert placement.problem is None
