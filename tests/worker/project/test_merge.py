"""The pure parts of `worker project`: which outcome is the newest, and from when on the dead letters are complete."""

import pytest

from worker.cache.outcome_order import Outcome, Versions, is_newer
from worker.kafka.retention import Kept
from worker.project.dead_letter_floor import complete_from_ms
from worker.project.merge import NewestOutcomes

HOUR_MS = 3_600_000
NOW_MS = 1_000 * HOUR_MS


def verdict(
    offset: int,
    *,
    partition: int = 0,
    timestamp_ms: int = 0,
    published_ms: int = 0,
    versions: str = "m 1 p 1",
    revision: int = 0,
) -> Outcome:
    """Return what a verdict on a record says."""
    place = ("verdicts", 0, offset)
    return Outcome(
        "chat-events",
        partition,
        offset,
        timestamp_ms,
        place,
        published_ms,
        versions=Versions(*versions.split()),
        revision=revision,
    )


def rejection(offset: int, *, published_ms: int = 0) -> Outcome:
    """Return what a dead letter says."""
    return Outcome("chat-events", 0, offset, 0, ("chat-events.dlq", 0, offset), published_ms, rejected="schema_error")


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        pytest.param(verdict(7), verdict(8), id="a higher offset"),
        pytest.param(verdict(7, timestamp_ms=9), verdict(8, timestamp_ms=1), id="a higher offset, earlier clock"),
        pytest.param(
            verdict(9, timestamp_ms=1), verdict(3, partition=1, timestamp_ms=2), id="another partition, later"
        ),
        pytest.param(verdict(7), rejection(8), id="a rejection of a later record"),
        pytest.param(rejection(7, published_ms=9), verdict(8), id="a verdict on a later record"),
        pytest.param(rejection(7, published_ms=1), verdict(7, published_ms=2), id="judged after all"),
        pytest.param(verdict(7, published_ms=1), rejection(7, published_ms=2), id="rejected after all"),
        pytest.param(
            verdict(7, versions="m 1.9 p 1", published_ms=9), verdict(7, versions="m 1.10 p 1"), id="a newer model"
        ),
        pytest.param(
            verdict(7, versions="m 1 p 9", published_ms=9), verdict(7, versions="m 1 p 10"), id="a newer policy"
        ),
        pytest.param(
            verdict(7, versions="m 1.9 p 1"), verdict(7, versions="m 1.9.0 p 1", published_ms=1), id="an equal version"
        ),
        pytest.param(
            verdict(7, versions="m 2 p 1"), verdict(7, versions="n 1 p 1", published_ms=1), id="another model, later"
        ),
        pytest.param(
            verdict(7, versions="m 2 p 1", published_ms=9), verdict(7, revision=3), id="a person, before a newer model"
        ),
        pytest.param(verdict(7, revision=4, published_ms=9), verdict(7, revision=5), id="a later word of a person"),
        pytest.param(verdict(7, revision=4), verdict(8), id="a later event, whatever a person said before"),
    ],
)
def test_the_newest_outcome_wins_in_either_order(older: Outcome, newer: Outcome) -> None:
    """Topics are read one beside the other; the order of reading must not decide."""
    assert is_newer(newer, older)
    assert not is_newer(older, newer)
    for order in ((older, newer), (newer, older)):
        newest = NewestOutcomes()
        for one in order:
            newest.offer("chat-1", one)
        assert dict(newest.markers()) == ({"chat-1": newer} if newer.rejected else {})
        assert newest.verdicts() == ({} if newer.rejected else {newer.place: ("chat-1", newer)})


def test_a_chat_with_an_outcome_that_cannot_be_read_is_left_alone() -> None:
    """It may be the newest one; an older `allow` must not be written over it."""
    newest = NewestOutcomes()
    newest.offer("chat-1", verdict(7))
    newest.spoil("chat-1")
    newest.offer("chat-1", verdict(8))
    assert newest.verdicts() == {}


@pytest.mark.parametrize(
    ("kept", "retention_ms", "expected"),
    [
        pytest.param([Kept(0, 5), Kept(0, None)], HOUR_MS, 0, id="nothing deleted"),
        pytest.param([Kept(3, 70), Kept(0, 5)], None, 70, id="the oldest that is kept"),
        pytest.param([Kept(3, 70), Kept(4, 90)], None, 90, id="of the partition that kept least"),
        pytest.param([Kept(3, NOW_MS - 5)], HOUR_MS, NOW_MS - HOUR_MS, id="rare letters, deleted by age"),
        pytest.param([Kept(3, NOW_MS - 9 * HOUR_MS)], HOUR_MS, NOW_MS - 9 * HOUR_MS, id="age deletes segments"),
        pytest.param([Kept(3, None)], HOUR_MS, NOW_MS - HOUR_MS, id="all deleted by age"),
        pytest.param([Kept(3, None)], None, NOW_MS, id="all deleted by who knows what"),
        pytest.param([], None, 0, id="no partition"),
    ],
)
def test_dead_letters_are_complete_from_where_nothing_was_deleted(
    kept: list[Kept], retention_ms: int | None, expected: int
) -> None:
    """A verdict before a deleted dead letter would come back as an `allow`."""
    assert complete_from_ms(kept, retention_ms=retention_ms, now_ms=NOW_MS) == expected
