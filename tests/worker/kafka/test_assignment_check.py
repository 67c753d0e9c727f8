"""What the coordinator has told a member and what the member knows: a difference that stands makes it join again."""

from collections.abc import Iterable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from tests.worker.kafka.test_retry import Clock
from worker.kafka.assignment_check import EVERY_S, STANDS_S, WAITS_S, AssignmentCheck, assignment_check_of
from worker.settings.kafka import GroupProtocol, KafkaSettings

MINE = "member-a"
LONG_ENOUGH = range(round(STANDS_S / EVERY_S) + 2)


class Coordinator:
    """An admin client whose coordinator answers at once, or not at all."""

    def __init__(self) -> None:
        self.members: list[Any] = []
        self.error: KafkaError | None = None
        self.n_asked = 0
        self.answers = True

    def tell(self, assigned: Iterable[int], target: Iterable[int] | None, member_id: str = MINE) -> None:
        """Let it describe one member."""
        self.members = [
            SimpleNamespace(
                member_id=member_id,
                assignment=_assignment(assigned),
                target_assignment=None if target is None else _assignment(target),
            )
        ]

    def poll(self, timeout: float) -> int:  # noqa: ARG002
        """Have nothing to tell."""
        return 0

    def describe_consumer_groups(self, groups: list[str], *, request_timeout: float) -> dict[str, "Future[Any]"]:
        """Answer as `AdminClient` does."""
        assert request_timeout <= EVERY_S
        self.n_asked += 1
        future: Future[Any] = Future()
        if self.error is not None:
            future.set_exception(KafkaException(self.error))
        elif self.answers:
            future.set_result(SimpleNamespace(members=self.members))
        return {groups[0]: future}


class Member:
    """A consumer with a member id."""

    def memberid(self) -> str:
        """Return it."""
        return MINE


def _assignment(partitions: Iterable[int]) -> Any:
    return SimpleNamespace(topic_partitions=[SimpleNamespace(topic="events", partition=p) for p in partitions])


def _owned(*partitions: int) -> set[tuple[str, int]]:
    return {("events", partition) for partition in partitions}


class Watched:
    """An assignment check that a test asks again and again while time passes."""

    def __init__(self) -> None:
        self.clock, self.coordinator = Clock(), Coordinator()
        self.check = AssignmentCheck(self.coordinator, "group", self.clock)  # type: ignore[arg-type]

    def after_a_while(self, owned: set[tuple[str, int]]) -> bool:
        """Ask once more after `EVERY_S`, and take the answer."""
        self.clock.now_s += EVERY_S
        assert not self.check.broken(Member(), owned)  # type: ignore[arg-type]
        return self.check.broken(Member(), owned)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("assigned", "target", "owned"),
    [
        pytest.param((0, 1), (0, 1), (0,), id="given-and-not-heard-of"),
        pytest.param((0, 1), (0,), (0, 1), id="taken-and-not-heard-of"),
        pytest.param((0, 1), (0, 1), (2, 3), id="both"),
    ],
)
def test_a_difference_that_stands_is_told_once_and_then_again_after_as_long(
    assigned: tuple[int, ...], target: tuple[int, ...], owned: tuple[int, ...]
) -> None:
    """A member that joins again needs its time before it is asked to do so again."""
    watched = Watched()
    watched.coordinator.tell(assigned, target)
    told = [watched.after_a_while(_owned(*owned)) for _ in range(11)]
    # Seen first after EVERY_S.
    assert [turn * EVERY_S for turn, is_told in enumerate(told) if is_told] == [STANDS_S, 2 * STANDS_S]


def test_agreement_is_never_broken_and_waiting_for_others_is_agreement() -> None:
    """A target may hold partitions that their owners have not given up yet."""
    watched = Watched()
    watched.coordinator.tell((0, 1), (0, 1, 2, 3))
    assert not any(watched.after_a_while(_owned(0, 1)) for _ in LONG_ENOUGH)


def test_what_is_meant_for_a_member_and_never_given_makes_it_join_again() -> None:
    """Nobody reads such a partition; a dead owner's is free after its session time-out."""
    watched = Watched()
    watched.coordinator.tell((0, 1), (0, 1, 2))
    told = [watched.after_a_while(_owned(0, 1)) for _ in range(round(WAITS_S / EVERY_S) + 2)]
    assert [turn * EVERY_S for turn, is_told in enumerate(told) if is_told] == [WAITS_S]


def test_differences_that_change_are_a_rebalance_at_work() -> None:
    """Each of them has a beginning of its own."""
    watched = Watched()
    for turn in LONG_ENOUGH:
        watched.coordinator.tell((turn,), (turn,))
        assert not watched.after_a_while(_owned(99))


@pytest.mark.parametrize("way", ["unknown-member", "no-target", "error", "silence"])
def test_a_coordinator_that_does_not_say_breaks_nothing(way: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The client itself hears when it is no member; a right that lacks is said once, and asked for again."""
    watched = Watched()
    if way == "error":
        watched.coordinator.error = KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED)
    watched.coordinator.answers = way != "silence"
    watched.coordinator.tell((0,), None if way == "no-target" else (0,), "another" if way == "unknown-member" else MINE)
    assert not any(watched.after_a_while(_owned(5)) for _ in LONG_ENOUGH)
    assert capsys.readouterr().out.count("group_not_described") == (way == "error")
    assert watched.coordinator.n_asked == (1 if way == "silence" else len(LONG_ENOUGH))


@pytest.mark.parametrize(("protocol", "is_watched"), [(GroupProtocol.CONSUMER, True), (GroupProtocol.CLASSIC, False)])
def test_only_members_of_the_consumer_protocol_are_watched(protocol: GroupProtocol, is_watched: bool) -> None:
    """The classic protocol tells every member in each rebalance, and describes no target."""
    found = assignment_check_of(Coordinator(), KafkaSettings(bootstrap_servers="127.0.0.1:9", group_protocol=protocol))  # type: ignore[arg-type]
    assert (found is not None) == is_watched
