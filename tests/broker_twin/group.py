"""The coordinator of one consumer group: members, their shares of the partitions, and committed offsets.

A partition is given to its next owner only after the one before has given it up. A member that has not polled for its
`max.poll.interval.ms` is dropped; it learns that with its next poll.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from confluent_kafka import KafkaError

from tests.broker_twin.partition_log import Partition

_ids = itertools.count(1)


@dataclass(frozen=True)
class GroupMetadata:
    """What a consumer says of its membership, at the time it was asked."""

    group_id: str
    member_id: str
    generation: int


@dataclass
class Member:
    """One member of the group."""

    topics: tuple[str, ...]
    max_poll_interval_s: float
    polled_at: float
    owned: set[Partition] = field(default_factory=set)
    target: set[Partition] = field(default_factory=set)


class Group:
    """One consumer group.

    Args:
        places_of: Returns the partitions of a topic.
    """

    def __init__(self, places_of: Callable[[str], Iterable[Partition]]) -> None:
        self.committed: dict[Partition, tuple[int, str]] = {}
        self.members: dict[str, Member] = {}
        self.generation = 0
        self._places_of = places_of

    def join(self, topics: tuple[str, ...], *, max_poll_interval_s: float) -> str:
        """Take a member in; return its id."""
        member_id = f"member-{next(_ids):06}"
        self.members[member_id] = Member(topics, max_poll_interval_s, time.monotonic())
        self._rebalance()
        return member_id

    def leave(self, member_id: str) -> None:
        """Let a member go."""
        if self.members.pop(member_id, None) is not None:
            self._rebalance()

    def polled(self, member_id: str) -> bool:
        """Take a member's sign of life, and drop those that gave none in time; say whether it is still a member."""
        now = time.monotonic()
        for other, member in [*self.members.items()]:
            if now - member.polled_at > member.max_poll_interval_s:
                self.leave(other)
        if member_id in self.members:
            self.members[member_id].polled_at = now
        return member_id in self.members

    def to_revoke(self, member_id: str) -> set[Partition]:
        """Return what a member must give up."""
        member = self.members[member_id]
        return member.owned - member.target

    def to_assign(self, member_id: str) -> set[Partition]:
        """Return what a member may take: meant for it and free."""
        member = self.members[member_id]
        taken = set().union(*(other.owned for other in self.members.values()))
        return member.target - taken

    def refusal(self, metadata: GroupMetadata, *, transactional: bool) -> int | None:
        """Return the error code with which offsets of a member are refused; None where they are taken."""
        if not metadata.member_id and (transactional or not self.members):
            # Of a consumer that is no member: nothing fences it.
            return None
        if metadata.member_id not in self.members:
            return int(KafkaError.UNKNOWN_MEMBER_ID)
        return None if metadata.generation == self.generation else int(KafkaError.ILLEGAL_GENERATION)

    def _rebalance(self) -> None:
        """Share the partitions out again, leaving each member as many as possible of those it has."""
        self.generation += 1
        free = {
            place for member in self.members.values() for topic in member.topics for place in self._places_of(topic)
        }
        most = -(-len(free) // max(1, len(self.members)))
        for member in self.members.values():
            member.target = set(sorted(member.owned & free)[:most])
        for member in self.members.values():
            free -= member.target
        for place in sorted(free):
            readers = [member for member in self.members.values() if place[0] in member.topics]
            min(readers, key=lambda member: len(member.target)).target.add(place)
