"""A Redis, an input topic and a clock in memory, for tests of the cache that owes."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field

from schemas import Source
from testkit.waiting import wait_until
from worker.cache.entries import Entry, marker_entry
from worker.cache.owed_entries import OwedRange, owed_entry
from worker.errors import Degraded


@dataclass
class Redis:
    """A Redis in memory that can refuse, lose and come back; the newest offset stays."""

    keys: dict[str, Entry] = field(default_factory=dict)
    refuses: bool = False
    keeps: bool = False
    """Whether a rejection leaves the verdict before it alone."""
    n_puts: int = 0
    reconnected: Callable[[], None] = lambda: None
    looked_up: Callable[[], None] = lambda: None
    """Called after each look-up, before its answer is used."""

    def is_wanted(self, entry: Entry) -> bool:
        """Say whether a put would write this."""
        return entry.rejected is None or not self.keeps

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Write, or hand all of it back."""
        self.n_puts += 1
        if self.refuses:
            return list(entries)
        for entry in filter(self.is_wanted, entries):
            there = self.keys.get(entry.chat_id)
            if there is None or there.source.offset <= entry.source.offset:
                self.keys[entry.chat_id] = entry
        return []

    def look_again(self) -> None:
        """Nothing is forged here."""

    def sources(self, chat_ids: Sequence[str]) -> list[Source | None]:
        """Look up."""
        if self.refuses:
            raise Degraded("away")
        found = [self.keys[chat_id].source if chat_id in self.keys else None for chat_id in chat_ids]
        self.looked_up()
        return found

    def on_reconnect(self, reconnected: Callable[[], None]) -> None:
        """Remember whom to tell."""
        self.reconnected = reconnected

    def close(self) -> None:
        """Nothing is open."""


@dataclass
class Input:
    """The input topic, as ranges of it are read again."""

    read: list[OwedRange] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)

    def __call__(self, owed: OwedRange) -> Generator[list[Entry], None, None]:
        """Yield a marker for each record of the range."""
        if self.failures:
            raise self.failures.pop()
        self.read.append(owed)
        for offset in range(owed.start, owed.end):
            yield [owed_entry(f"chat-{offset}", entry(offset).source)]


@dataclass
class Clock:
    """Stands for the module `time`."""

    now_s: float = 1_000.0

    def monotonic(self) -> float:
        """Return the time, seconds."""
        return self.now_s


def entry(offset: int, *, chat: int | None = None) -> Entry:
    """Return what a record leaves; by default each record is of a chat of its own."""
    source = Source(topic="chat-events", partition=0, offset=offset, timestamp_ms=offset)
    return Entry(f"chat-{offset if chat is None else chat}", b"value %d" % offset, source)


def rejection(offset: int, *, chat: int) -> Entry:
    """Return what a rejected record leaves."""
    return marker_entry(f"chat-{chat}", entry(offset).source, "schema_error")


def eventually(condition: Callable[[], object]) -> None:
    """Wait until the thread has done something."""
    wait_until(condition, timeout_s=10, what=lambda: "the cache's thread has not done it")
