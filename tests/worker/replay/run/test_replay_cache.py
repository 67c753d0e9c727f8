"""A replay brings no outcome into Redis whose newer one may have left it with its TTL."""

from collections.abc import Iterable

from schemas import Source, Verdict
from worker.cache.entries import Entry, marker_entry
from worker.replay.run.replay_cache import ReplayCache

TTL_S = 3_600
NOW_S = 1_800_000_000.0


class Kept:
    """A cache that takes everything."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:  # noqa: ARG002
        """Know nothing."""
        return {}

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Keep them."""
        self.entries += entries
        return []

    def close(self) -> None:
        """Do nothing."""


def test_records_older_than_the_ttl_are_not_written() -> None:
    """The chat's newer outcome expired; the old one would be served for another TTL."""
    kept = Kept()
    cache = ReplayCache(kept, TTL_S, lambda: NOW_S)
    ages_s = {"young": 10.0, "at-the-edge": float(TTL_S), "old": TTL_S + 1.0}
    entries = [marker_entry(chat, _source(round((NOW_S - age_s) * 1_000)), "r") for chat, age_s in ages_s.items()]
    assert cache.put_many([*entries, marker_entry("untimed", _source(-1), "r")]) == []
    assert [entry.chat_id for entry in kept.entries] == ["young", "at-the-edge", "untimed"]


def test_a_replay_that_is_to_leave_redis_alone_writes_nothing_and_owes_nothing() -> None:
    """A trial of another model."""
    kept = Kept()
    assert ReplayCache(kept, None).put_many([marker_entry("young", _source(round(NOW_S * 1_000)), "r")]) == []
    assert kept.entries == []


def _source(timestamp_ms: int) -> Source:
    return Source(topic="chats", partition=0, offset=1, timestamp_ms=timestamp_ms)
