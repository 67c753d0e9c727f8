"""The chats that are held, by input partition: what is committed, and what a batch in hand adds to it.

A batch is decided while the one before is still being committed, so an event sees the committed states and, before
them, what the batches in hand noted. Called by two threads.

Memory is about the encoded state and the chat_id of each chat that is held; others are not kept.
"""

import threading
from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import NamedTuple

from worker.kafka.partition_range import Partition
from worker.record import Place


class Kept(NamedTuple):
    """A state as it is kept."""

    until_ms: int
    """When its last hold is over, ms since the epoch."""
    encoded: bytes


class Change(NamedTuple):
    """What an event made of the state of its chat."""

    place: Place
    """The event's record."""
    chat_id: str
    state: Kept | None
    """None: nothing is left of it."""


class HeldChats:
    """The states. Each method may be called by either thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._committed: dict[Partition, dict[str, Kept]] = {}
        self._changes: dict[Place, Change] = {}
        """Of the batches in hand."""
        self._newest: dict[tuple[Partition, str], Change] = {}
        """The last of these for each chat."""
        self._swept: list[tuple[Partition, str]] = []
        """Chats whose removal is in the batch that is being committed."""

    def __len__(self) -> int:
        """Return how many chats are kept."""
        with self._lock:
            return sum(map(len, self._committed.values()))

    def find(self, partition: Partition, chat_id: str) -> bytes | None:
        """Return the encoded state of a chat, None where it is not held."""
        with self._lock:
            change = self._newest.get((partition, chat_id))
            kept = change.state if change is not None else self._committed.get(partition, {}).get(chat_id)
        return None if kept is None else kept.encoded

    def note(self, change: Change) -> None:
        """Take what an event changed; events come in the order of their partition."""
        partition = change.place[:2]
        with self._lock:
            self._changes[change.place] = change
            self._newest[partition, change.chat_id] = change

    def changes(self, places: Iterable[Place]) -> list[Change]:
        """Return what the records of a batch changed: the last change of each chat, in input order."""
        last: dict[tuple[Partition, str], Change] = {}
        with self._lock:
            for place in places:
                if (change := self._changes.get(place)) is not None:
                    last[place[:2], change.chat_id] = change
        return list(last.values())

    def sweep(self, partition: Partition, before_ms: int, *, n_looked_at: int) -> list[str]:
        """Choose chats whose holds are over, to be removed with the batch that is being committed.

        Looks at some chats at a time, and at others the next time, so that the cost of a batch is bounded.

        Args:
            partition: Of the chats.
            before_ms: Holds that ended by then are over, ms since the epoch.
            n_looked_at: How many chats to look at.

        Returns:
            Their ids.
        """
        over: list[str] = []
        with self._lock:
            chats = self._committed.get(partition, {})
            for chat_id in list(islice(chats, min(n_looked_at, len(chats)))):
                if chats[chat_id].until_ms <= before_ms and (partition, chat_id) not in self._newest:
                    over.append(chat_id)
                # To the end of the queue.
                chats[chat_id] = chats.pop(chat_id)
            self._swept += [(partition, chat_id) for chat_id in over]
        return over

    def settle(self, places: Iterable[Place]) -> None:
        """Take that the batch of these records is committed, and with it what was swept."""
        with self._lock:
            for partition, chat_id in self._swept:
                self._committed.get(partition, {}).pop(chat_id, None)
            self._swept.clear()
            for place in places:
                if (change := self._changes.pop(place, None)) is not None:
                    self._settle(place[:2], change)

    def _settle(self, partition: Partition, change: Change) -> None:
        if self._newest.get((partition, change.chat_id)) is change:
            del self._newest[partition, change.chat_id]
        chats = self._committed.setdefault(partition, {})
        if change.state is None:
            chats.pop(change.chat_id, None)
        else:
            chats[change.chat_id] = change.state

    def restore(self, states: Mapping[Partition, dict[str, Kept]]) -> None:
        """Take the committed states of partitions."""
        with self._lock:
            self._committed.update(states)

    def release(self, partitions: Collection[Partition]) -> None:
        """Forget partitions, which are somebody else's now."""
        with self._lock:
            for partition in partitions:
                self._committed.pop(partition, None)
            self._changes = {place: one for place, one in self._changes.items() if place[:2] not in partitions}
            self._newest = {key: one for key, one in self._newest.items() if key[0] not in partitions}
            self._swept = [(partition, chat_id) for partition, chat_id in self._swept if partition not in partitions]

    def clear_committed(self) -> None:
        """Forget what is committed, and keep what the batches in hand noted."""
        with self._lock:
            self._committed.clear()
            self._swept.clear()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._committed.clear()
            self._changes.clear()
            self._newest.clear()
            self._swept.clear()
