"""Chats are found by what their records' keys and values say, under every key and in every partition."""

from collections.abc import Iterator, Sequence
from typing import Any

import orjson
import pytest

from schemas import CodecLimits, ValueFormat
from tests.worker.explain.records import record
from tests.worker.payloads import kafka_settings
from worker.erase.search import Found, Place, Stopped, search
from worker.erase.stores import NAMELESS, Holds, Store, stores_of, wants_tombstones
from worker.kafka.partition_range import PartitionRange
from worker.kafka.topic_cleanup import cleanup_in
from worker.kafka.topic_scan import ScannedRecord
from worker.settings.kafka import KafkaSettings

EVENT = orjson.dumps({"chat_id": "chat-1", "messages": [{"role": "user", "content": "hello"}]})
RANGES = [PartitionRange(topic="t", partition=0, start=0, end=1)]
ALL_ON = {
    name: name.replace("_", "-")
    for name, field in KafkaSettings.model_fields.items()
    if name.endswith("_topic") and field.default is None
}


def store(setting: str) -> Store:
    """Return one of the topics that may hold a chat, all of them in use."""
    (found,) = [one for one in stores_of(kafka_settings(**ALL_ON)) if one.setting == setting]
    return found


def found_in(setting: str, records: Sequence[ScannedRecord], **more: Any) -> Found:
    """Return what a search for chat-1 and chat-2 finds."""

    def scan(_: Sequence[PartitionRange]) -> Iterator[list[ScannedRecord]]:
        yield list(records[:1])
        yield list(records[1:])

    arguments = {"stopping": lambda: False, "progressed": lambda _: None, **more}
    return search(
        store(setting),
        RANGES,
        {"chat-1", "chat-2"},
        scan=scan,
        limits=CodecLimits(),
        value_format=ValueFormat.JSON,
        **arguments,
    )


def test_every_topic_of_the_settings_is_searched_or_names_no_chat() -> None:
    """A new topic must be put on one of the two lists."""
    topics = {name for name in KafkaSettings.model_fields if name.endswith("_topic")}
    searched = {one.setting for one in stores_of(kafka_settings(**ALL_ON))}
    assert searched | NAMELESS == topics
    assert not searched & NAMELESS
    # One that is off is not asked for.
    assert not {one.setting for one in stores_of(kafka_settings())} & ALL_ON.keys()


def test_only_input_and_dead_letters_hold_text() -> None:
    """Verdicts, holds and overrides hold none, by contract."""
    held = {one.setting: one.holds for one in stores_of(kafka_settings(**ALL_ON))}
    assert {name for name, holds in held.items() if holds is Holds.TEXT} == {"input_topic", "dead_letter_topic"}


def test_a_chat_is_found_under_other_keys_and_in_other_partitions() -> None:
    """A compacted topic forgets the very key of a tombstone, in its own partition."""
    found = found_in(
        "input_topic",
        [
            record("t", 0, 1, b"chat-1", EVENT, timestamp_ms=50),
            record("t", 1, 2, b'"chat-1"', EVENT, timestamp_ms=70),
            record("t", 2, 3, b'{"chat_id":"chat-2"}', b"no JSON", timestamp_ms=60),
            record("t", 0, 4, b"somebody", EVENT),
            record("t", 0, 5, None, EVENT),
            record("t", 0, 6, b"chat-3", EVENT.replace(b"chat-1", b"chat-3")),
        ],
    )
    assert found.places == {
        Place(0, b"chat-1"),
        Place(1, b'"chat-1"'),
        Place(2, b'{"chat_id":"chat-2"}'),
        Place(0, b"somebody"),
    }
    assert (found.n_records, found.n_read) == (5, 6)


def test_all_overrides_of_a_chat_are_found() -> None:
    """Their keys hold policy and scope, too."""
    keys = [orjson.dumps({"chat_id": "chat-1", "policy": policy, "scope": "chat"}) for policy in ("*", "brand")]
    records = [record("t", 0, i, key, b"{}") for i, key in enumerate([*keys, b'{"chat_id":"chat-3"}'])]
    assert found_in("overrides_topic", records).places == {Place(0, key) for key in keys}


def test_what_a_tombstone_follows_needs_none() -> None:
    """Until the compaction an erased value is still there; a second erasure has nothing to do."""
    found = found_in("state_topic", [record("t", 0, 1, b"chat-1", b"{}"), record("t", 0, 2, b"chat-1", None)])
    assert (found.n_records, found.n_tombstones, found.places) == (1, 1, set())
    again = found_in("state_topic", [record("t", 0, 3, b"chat-1", None), record("t", 0, 4, b"chat-1", b"{}")])
    assert again.places == {Place(0, b"chat-1")}


def test_a_stop_ends_the_search() -> None:
    """With exit code 7; what was written stays."""
    with pytest.raises(Stopped):
        found_in("input_topic", [record("t", 0, 1, b"chat-1", EVENT)], stopping=lambda: True)


def test_tombstones_go_where_they_take_something_away() -> None:
    """A null among verdicts that go by age would take nothing out, and meet readers that expect none."""
    config = {
        "cleanup.policy": "delete",
        "retention.ms": "1",
        "segment.ms": "1",
        "max.compaction.lag.ms": "1",
        "delete.retention.ms": "1",
    }
    by_age, by_key = cleanup_in(config), cleanup_in(config | {"cleanup.policy": "compact, delete"})
    assert wants_tombstones(store("input_topic"), by_age)
    assert wants_tombstones(store("state_topic"), None)
    assert [wants_tombstones(store("verdict_topic"), one) for one in (None, by_age, by_key)] == [False, False, True]
