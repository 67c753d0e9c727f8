"""A range is read to its end when nothing more of it can come: not where only what is committed by now ends."""

import pytest
from confluent_kafka import KafkaError, Message

from worker.kafka.partition_range import PartitionRange
from worker.kafka.retry import Passing
from worker.kafka.topic_scan import _is_inside

SPAN = PartitionRange(topic="t", partition=0, start=0, end=5)


def record(offset: int) -> Message:
    """Return a record."""
    return Message(topic="t", partition=0, offset=offset, value=b"x")  # type: ignore[call-overload,no-any-return,unused-ignore]


def end_at(offset: int) -> Message:
    """Return what the client says where there is nothing more to read: the offset behind the last record."""
    return Message(topic="t", partition=0, offset=offset, error=KafkaError(KafkaError._PARTITION_EOF))  # type: ignore[call-overload,no-any-return,unused-ignore]


@pytest.mark.parametrize(
    ("message", "is_inside", "is_open"),
    [
        (record(3), True, True),
        (record(4), True, False),
        (record(5), False, False),
        (end_at(4), False, True),
        (end_at(5), False, False),
        (end_at(6), False, False),
    ],
    ids=["record", "last record", "record behind", "open transaction at the last record", "end", "markers behind"],
)
def test_a_range_closes_with_its_last_record_or_where_the_partition_ends_behind_it(
    message: Message, is_inside: bool, is_open: bool
) -> None:
    """A transaction that is open at the last offset may still be committed."""
    open_ = {SPAN.place: SPAN}
    assert _is_inside(message, open_, Passing()) == is_inside
    assert bool(open_) == is_open
