"""Debts of the cache: nothing that was added is forgotten before it is settled, whatever the bounds."""

import random

import orjson

from schemas import Source
from worker.cache.entries import Entry, marker_entry
from worker.cache.owed_entries import OwedRange
from worker.cache.owed_writes import ENTRY_BYTES, OwedWrites
from worker.cache.recent_writes import RecentWrites

PLENTY = {"max_bytes": 10**9, "max_chats": 10**6}


def entry(chat: int, offset: int, *, partition: int = 0, n_bytes: int = 100) -> Entry:
    """Return what a record leaves in its chat's key."""
    source = Source(topic="chat-events", partition=partition, offset=offset, timestamp_ms=offset)
    return Entry(f"chat-{chat}", b"v" * n_bytes, source)


def test_of_one_chat_the_newest_entry_is_owed_however_they_come() -> None:
    """A put that fails twice must not bring the older one back."""
    owed = OwedWrites(**PLENTY)
    owed.add([entry(1, 5), entry(1, 9), entry(1, 7)], 1.0)
    assert [one.source.offset for one in owed.head(10)] == [9]


def test_a_chat_of_two_partitions_is_owed_for_both() -> None:
    """Which of the two is newer only the compare-and-set knows."""
    owed = OwedWrites(**PLENTY)
    owed.add([entry(1, 5), entry(1, 3, partition=1)], 1.0)
    assert len(owed) == 2
    assert owed.lowest_offsets() == {("chat-events", 0): 5, ("chat-events", 1): 3}


def test_beyond_the_bytes_a_marker_takes_the_place_of_a_value() -> None:
    """The older verdict must go, even where there is no room for the newer one."""
    owed = OwedWrites(max_bytes=2 * (1_000 + ENTRY_BYTES), max_chats=100)
    owed.add([entry(chat, chat, n_bytes=1_000) for chat in range(3)], 1.0)
    values = [one.value for one in owed.head(3)]
    assert [len(value) for value in values[:2]] == [1_000, 1_000]
    assert orjson.loads(values[2]) == {
        "schema_version": 1,
        "chat_id": "chat-2",
        "source": {"topic": "chat-events", "partition": 0, "offset": 2, "timestamp_ms": 2},
        "rejected": "owed",
    }
    assert owed.n_markers_made == 1


def test_beyond_the_chats_the_offsets_stay() -> None:
    """They are read again later, so that memory has a bound and no chat is forgotten."""
    owed = OwedWrites(max_bytes=10**9, max_chats=2)
    owed.add([entry(chat, 10 + chat, partition=chat % 2) for chat in range(6)], 1.0)
    assert len(owed) == 2
    assert owed.n_forgotten == 4
    assert owed.ranges() == [OwedRange("chat-events", 0, 12, 15), OwedRange("chat-events", 1, 13, 16)]
    assert owed.lowest_offsets() == {("chat-events", 0): 10, ("chat-events", 1): 11}
    owed.settle(owed.head(2))
    assert owed
    assert owed.lowest_offsets() == {("chat-events", 0): 12, ("chat-events", 1): 13}
    for one in owed.ranges():
        owed.settle_range(one)
    assert not owed


def test_a_range_that_grew_while_it_was_paid_stays() -> None:
    """Whoever settles it has not read the new offsets."""
    owed = OwedWrites(**PLENTY)
    paid = OwedRange("chat-events", 0, 4, 9)
    owed.add_range(paid, 1.0)
    owed.add_range(OwedRange("chat-events", 0, 8, 12), 2.0)
    owed.settle_range(paid)
    assert owed.ranges() == [OwedRange("chat-events", 0, 4, 12)]


def test_only_what_is_as_new_as_the_debt_settles_it() -> None:
    """A write of an older record was acknowledged; the newer one is still owed."""
    owed = OwedWrites(**PLENTY)
    owed.add([entry(1, 5)], 1.0)
    owed.settle([entry(1, 4), entry(2, 9)])
    assert len(owed) == 1
    owed.settle([entry(1, 5)])
    assert not owed
    assert owed.n_bytes == 0


def test_the_age_is_that_of_the_oldest_debt_though_newer_entries_replace_it() -> None:
    """A chat that grows all the time has been wrong in Redis since the first write that failed."""
    owed = OwedWrites(**PLENTY)
    assert owed.oldest_since_s() is None
    owed.add([entry(1, 5)], 1.0)
    owed.add([entry(2, 6)], 2.0)
    owed.add([entry(1, 7)], 3.0)
    assert owed.oldest_since_s() == 1.0
    owed.settle([entry(1, 7)])
    assert owed.oldest_since_s() == 2.0


def test_random_debts_and_payments_lose_no_chat() -> None:
    """The invariant, under bounds that bite: every unpaid chat is covered by an entry or by the offsets."""
    chance = random.Random(7)  # noqa: S311  chooses cases, no secret
    owed = OwedWrites(max_bytes=8_000, max_chats=20)
    unpaid: dict[str, int] = {}
    for offset in range(3_000):
        one = entry(chance.randrange(40), offset, n_bytes=chance.randrange(600))
        if chance.random() < 0.6:
            owed.add([one], float(offset))
            unpaid[one.chat_id] = offset
        else:
            paid = owed.head(chance.randrange(5))
            owed.settle(paid)
            for each in paid:
                if unpaid.get(each.chat_id, -1) <= each.source.offset:
                    unpaid.pop(each.chat_id, None)
        kept = {each.chat_id: each.source.offset for each in owed.head(100)}
        spans = owed.ranges()
        for chat_id, newest in unpaid.items():
            in_range = any(span.start <= newest < span.end for span in spans)
            assert kept.get(chat_id) == newest or in_range, (chat_id, newest)
        assert len(owed) <= 20
        lowest = owed.lowest_offsets().get(("chat-events", 0), 10**9)
        assert all(lowest <= newest for newest in unpaid.values())


def test_a_marker_of_a_rejection_is_owed_as_it_is() -> None:
    """Its reason tells whoever reads the key why there is no verdict."""
    owed = OwedWrites(**PLENTY)
    marker = marker_entry("chat-1", entry(1, 5).source, "schema_error")
    owed.add([marker], 1.0)
    assert owed.head(1) == [marker]


def test_recent_writes_leave_after_their_time() -> None:
    """Older ones a replica has long had."""
    recent = RecentWrites(keep_s=60, max_bytes=10**9)
    recent.keep([entry(1, 1)], 100.0)
    recent.keep([entry(2, 2)], 130.0)
    assert [one.chat_id for one in recent.newest(5)] == ["chat-2", "chat-1"]
    entries, ranges = recent.take(161.0)
    assert [one.chat_id for one in entries] == ["chat-2"]
    assert ranges == []
    assert (len(recent), recent.n_bytes) == (0, 0)


def test_recent_writes_that_do_not_fit_leave_their_offsets_until_their_time_is_over() -> None:
    """Memory is bounded; what may be lost is still known."""
    recent = RecentWrites(keep_s=60, max_bytes=2 * (100 + ENTRY_BYTES))
    for offset in range(6):
        recent.keep([entry(offset, offset)], 100.0 + offset)
    assert len(recent) == 2
    assert recent.lowest_offsets() == {("chat-events", 0): 0}
    entries, ranges = recent.take(120.0)
    assert [one.source.offset for one in entries] == [4, 5]
    assert ranges == [OwedRange("chat-events", 0, 0, 4)]
    for offset in range(6):
        recent.keep([entry(offset, offset)], 200.0 + offset)
    _, ranges = recent.take(264.0)
    assert ranges == [OwedRange("chat-events", 0, 3, 4)]


def test_a_chat_written_again_is_kept_once() -> None:
    """Hot chats must not fill the memory."""
    recent = RecentWrites(keep_s=60, max_bytes=10**9)
    recent.keep([entry(1, offset) for offset in range(50)], 1.0)
    assert [one.source.offset for one in recent.newest(5)] == [49]
    assert recent.n_bytes == 100 + ENTRY_BYTES
