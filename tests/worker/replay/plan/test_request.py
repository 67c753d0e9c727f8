"""What a replay is asked for, as it is written."""

import pytest

from worker.errors import SettingsError
from worker.kafka.partition_range import Span
from worker.replay.plan.request import chats_digest, parse_span


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3:10-20", Span(topic="t", partition=3, start=10, end=20)),
        ("t:3:10-", Span(topic="t", partition=3, start=10, end=None)),
        ("3:-20", Span(topic="t", partition=3, start=None, end=20)),
    ],
)
def test_offsets_are_read_as_written(text: str, expected: Span) -> None:
    """Open ends are the partition's own limits."""
    assert parse_span(text, ("t",)) == expected


@pytest.mark.parametrize("text", ["", "3", "3:20-10", "u:3:1-2", "3:a-b", "-1:1-2"])
def test_offsets_that_say_nothing_are_refused(text: str) -> None:
    """Each with what was found and what was expected."""
    with pytest.raises(SettingsError, match="expected"):
        parse_span(text, ("t",))


def test_a_digest_of_chats_depends_on_the_set_alone() -> None:
    """Two pods may list the same chats in another order, and chat ids may hold anything."""
    assert chats_digest(["a", "bc"]) == chats_digest(["bc", "a"]) != chats_digest(["ab", "c"])
