"""Keys that do not name their chat are counted, and told now and then."""

import pytest
import structlog

from worker.process.key_check import KeyCheck, key_problem
from worker.process.metrics import Metrics
from worker.process.seldom import Seldom
from worker.record import Record


@pytest.mark.parametrize(
    ("key", "chat_id", "problem"),
    [
        (None, "c", "missing"),
        (None, None, "missing"),
        (b"\xff", "c", "unreadable"),
        (b"\xff", None, "unreadable"),
        (b"d", "c", "other"),
        (b'"c"', "c", None),
        (b"\0\0\0\0\x07c", "c", None),
        (b"c", None, None),
    ],
)
def test_a_key_is_wanted_that_names_the_chat(key: bytes | None, chat_id: str | None, problem: str | None) -> None:
    """Without one a chat's order is lost, and with another its tombstones are."""
    assert key_problem(key, chat_id) == problem


def test_each_problem_is_counted_always_and_told_seldom() -> None:
    """A topic without keys would write a line for each of its records."""
    metrics, now_s = Metrics(), [0.0]
    check = KeyCheck(metrics.key_problems, Seldom(600.0, lambda: now_s[0]))
    keyless, binary = Record("t", 1, 5, -1, None, b""), Record("t", 1, 6, -1, b"\xff", b"")
    with structlog.testing.capture_logs() as lines:
        for one in (keyless, keyless, binary, binary):
            check(one, "chat text")
        now_s[0] = 601.0
        check(keyless, "chat text")
    assert [(line["problem"], line["offset"]) for line in lines] == [("missing", 5), ("unreadable", 6), ("missing", 5)]
    assert "chat text" not in str(lines)
    read = metrics.registry.get_sample_value
    assert read("moderation_key_problems_total", {"problem": "missing"}) == 3
    assert read("moderation_key_problems_total", {"problem": "unreadable"}) == 2
