"""Whether a member and its group coordinator agree on the partitions that the member has (consumer protocol, KIP-848).

A heartbeat's answer tells of an assignment once. Where it comes too late, because the coordinator waits for a broker
that was just lost, a member has to send all its fields again to be told again (KIP-848, "ConsumerGroupHeartbeat").
librdkafka (read: 2.12.1 and 2.15.1) does so after a lost connection, not after a heartbeat that timed out. Then
partitions that the answer gave have no reader until the group changes, and those that it took are waited for until
`max.poll.interval.ms` has passed. So the coordinator is asked what it has told the member; where that differs from
what the member knows, the member joins again.
"""

import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from typing import Final, NamedTuple

import structlog
from confluent_kafka import Consumer, KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    ConsumerGroupDescription,
    MemberAssignment,
    MemberDescription,
)

from worker.kafka.errors import describe, kafka_error
from worker.settings.kafka import GroupProtocol, KafkaSettings

log = structlog.get_logger()

EVERY_S: Final = 5.0
"""How often the coordinator is asked."""
STANDS_S: Final = 20.0
"""How long a difference must stand: a member hears of a new target with its next heartbeat, at most 15 s later.

Source: Kafka's broker settings, `group.consumer.max.heartbeat.interval.ms`.
"""

WAITS_S: Final = 30.0
"""How long partitions may be meant for a member and not given. Their owner gives them up after its batch. Where it
did and the coordinator never heard of it, nobody reads them until a member joins again and so moves the group's epoch.
A dead owner's are free after the session time-out, 45 s, and a stalled one's after its batch, 90 s at worst: for those
rejoins of a second each are spent in vain.
"""

Partitions = frozenset[tuple[str, int]]
"""Topics with partition numbers."""


class Difference(NamedTuple):
    """What a member has not heard of; both empty where coordinator and member agree."""

    not_taken: Partitions
    """Given by the coordinator, and not owned."""
    not_released: Partitions
    """Owned, and meant for others."""
    not_given: Partitions = frozenset()
    """Meant for the member, and not given yet."""


_AGREED: Final = Difference(frozenset(), frozenset())


class AssignmentCheck:
    """Compares what a member owns with what the coordinator has told it; never waits.

    Args:
        admin: Admin client; needs the right to describe the group, which reading with it implies.
        group_id: The consumer group.
        clock: Monotonic clock, s.
    """

    def __init__(self, admin: AdminClient, group_id: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._admin = admin
        self._group_id = group_id
        self._clock = clock
        self._asked_at_s = clock()
        self._answer: Future[ConsumerGroupDescription] | None = None
        self._difference = _AGREED
        self._since_s = self._waits_since_s = self._asked_at_s
        self._last_error = ""

    def broken(self, member: Consumer, owned: Collection[tuple[str, int]]) -> bool:
        """Say whether a difference has stood for `STANDS_S`, or partitions have been waited for for `WAITS_S`.

        To be called by the thread that polls: partitions change hands within its poll, so that what it owns between
        two polls is settled.
        """
        now = self._clock()
        if self._answer is None:
            if now - self._asked_at_s >= EVERY_S:
                self._asked_at_s = now
                # Serves what the client has to tell of its connections, which would pile up otherwise.
                self._admin.poll(0)
                self._answer = self._ask()
            return False
        if not self._answer.done():
            return False
        answer, self._answer = self._answer, None
        difference = self._difference_of(answer, member.memberid(), frozenset(owned))
        if difference[:2] != self._difference[:2]:
            self._since_s = now
        if difference.not_given != self._difference.not_given:
            self._waits_since_s = now
        self._difference = difference
        stands = any(difference[:2]) and now - self._since_s >= STANDS_S
        if not stands and not (difference.not_given and now - self._waits_since_s >= WAITS_S):
            return False
        self._since_s = self._waits_since_s = now
        log.warning("group_disagrees", **{name: sorted(found) for name, found in difference._asdict().items()})
        return True

    def _ask(self) -> "Future[ConsumerGroupDescription]":
        # The client's own time-out is a minute: a question to a broker that was just lost would be the only one.
        asked = self._admin.describe_consumer_groups([self._group_id], request_timeout=EVERY_S)
        return asked[self._group_id]

    def _difference_of(
        self, answer: "Future[ConsumerGroupDescription]", member_id: str, owned: Partitions
    ) -> Difference:
        member = self._described(answer, member_id)
        if member is None or member.target_assignment is None:
            return _AGREED
        given, meant = _partitions(member.assignment), _partitions(member.target_assignment)
        return Difference(not_taken=given - owned, not_released=owned - meant, not_given=meant - given - owned)

    def _described(self, answer: "Future[ConsumerGroupDescription]", member_id: str) -> MemberDescription | None:
        """Return what the coordinator says of a member; None where it does not answer or knows no such member."""
        try:
            members = answer.result().members
        except KafkaException as error:
            told = describe(kafka_error(error))
            if told != self._last_error:
                log.warning("group_not_described", error=told, group=self._group_id)
            self._last_error = told
            return None
        self._last_error = ""
        return next((member for member in members if member.member_id == member_id), None)


def assignment_check_of(admin: AdminClient, settings: KafkaSettings) -> AssignmentCheck | None:
    """Return what watches a member of the consumer protocol; the classic one tells every member in each rebalance."""
    return AssignmentCheck(admin, settings.group_id) if settings.group_protocol is GroupProtocol.CONSUMER else None


def _partitions(assignment: MemberAssignment) -> Partitions:
    return frozenset((p.topic, p.partition) for p in assignment.topic_partitions)
