"""The newest verdict of each chat counts, in whatever order they are read."""

import sqlite3
from random import Random

import pytest

from model.policies.simulate import Case, Said
from schemas import Decision, Source, Verdict
from tests.schemas.payloads import make_verdict
from worker.errors import Fatal
from worker.simulate.newest import NewestCases
from worker.simulate.verdicts import WrittenVerdict

ALLOW, REVIEW, BLOCK = Decision


def case_of(chat: str, mark: float) -> Case:
    """Return a case that can be told from others."""
    return Case(chat, None, Said(ALLOW, mark), Said(BLOCK, mark, mark))


def verdict(chat: str, offset: int, *, partition: int = 0, at_ms: int = 0, revision: int = 0) -> Verdict:
    """Return a verdict on an event."""
    source = Source(topic="chat-events", partition=partition, offset=offset, timestamp_ms=at_ms)
    return make_verdict(chat_id=chat, source=source, override_revision=revision)


def written(offset: int) -> WrittenVerdict:
    """Return where it lies."""
    return WrittenVerdict(b"", ("verdicts", 0, offset), offset)


@pytest.mark.parametrize("order", range(4))
def test_the_newest_event_of_each_chat_is_kept(order: int) -> None:
    """A replay answers old events again, later."""
    offered = [(f"chat-{i % 17}", i) for i in range(200)]
    Random(order).shuffle(offered)  # noqa: S311  not a secret
    with NewestCases() as cases:
        for place, (chat, offset) in enumerate(offered):
            cases.offer(case_of(chat, offset / 1_000), verdict(chat, offset), written(place))
        found = {case.chat_id: case for case in cases}
    assert found == {f"chat-{i % 17}": case_of(f"chat-{i % 17}", i / 1_000) for i in range(183, 200)}


def test_between_partitions_the_later_event_counts_and_on_one_event_the_higher_revision() -> None:
    """As the verdict cache orders them."""
    with NewestCases() as cases:
        cases.offer(case_of("a", 0.1), verdict("a", 9, at_ms=10), written(0))
        cases.offer(case_of("a", 0.2), verdict("a", 1, partition=1, at_ms=20), written(1))
        cases.offer(case_of("a", 0.3), verdict("a", 99, at_ms=15), written(2))
        cases.offer(case_of("b", 0.1), verdict("b", 5, revision=2), written(3))
        cases.offer(case_of("b", 0.2), verdict("b", 5, revision=1), written(4))
        cases.offer(case_of("b", 0.3), verdict("b", 5, revision=3), written(5))
        assert list(cases) == [case_of("a", 0.2), case_of("b", 0.3)]


def test_a_chat_whose_newest_verdict_is_set_aside_is_not_compared_by_an_older_one() -> None:
    """A person has decided on it since."""
    with NewestCases() as cases:
        cases.offer(case_of("a", 0.1), verdict("a", 1), written(0))
        cases.offer(Case("a", "override"), verdict("a", 2), written(1))
        assert list(cases) == [Case("a", "override")]


def test_a_full_disk_ends_with_what_helps() -> None:
    """SQLite's own words name no folder."""
    with pytest.raises(Fatal, match="SQLITE_TMPDIR"), NewestCases():
        raise sqlite3.OperationalError("database or disk is full")
