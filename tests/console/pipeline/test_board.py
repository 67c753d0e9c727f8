"""What is remembered of the topics, and what a page gets of it."""

from typing import Any

import pytest

from console.pipeline.live.board import MINUTE_MS, MOST_ROWS, OTHER, Board, Wanted
from console.pipeline.live.records import LiveVerdict, letter_of, verdict_of
from schemas import DecidedBy, Decision, PolicyDecision
from tests.schemas.test_golden import GOLDEN
from tests.worker.explain.records import letter_record, record, verdict_record

NOW = 1_800_000_000_000
ALL = Wanted()


def row(offset: int, at_ms: int = NOW, **fields: Any) -> LiveVerdict:
    """Return a verdict as the board keeps it."""
    scanned = verdict_record(offset, **fields)
    scanned.timestamp_ms = at_ms
    found = verdict_of(scanned)
    assert found is not None
    return found


def following(*rows: LiveVerdict) -> Board:
    """Return a board that has caught up and taken these."""
    board = Board(60)
    board.caught_up()
    for one in rows:
        board.add_verdict(one, NOW)
    return board


def test_a_cursor_gives_what_came_since_and_nothing_twice() -> None:
    """The newest first; a browser asks again with what it was told."""
    board = following(row(0), row(1))
    first = board.newest("", ALL)
    assert [one.place for one in first.rows] == ["0-1", "0-0"]
    assert board.newest(first.cursor, ALL).rows == []
    board.add_verdict(row(2), NOW)
    assert [one.place for one in board.newest(f"0000.7,{first.cursor}", ALL).rows] == ["0-2"]


def test_another_consoles_cursor_gives_everything_under_the_same_places() -> None:
    """Behind a balancer two consoles answer in turn; places tell the browser what it has."""
    here, there = following(row(0), row(1)), following(row(0), row(1))
    cursor = here.newest("", ALL).cursor
    assert [one.place for one in there.newest(cursor, ALL).rows] == ["0-1", "0-0"]
    both = f"{cursor},{there.newest('', ALL).cursor}"
    assert here.newest(both, ALL).rows == []
    assert there.newest(both, ALL).rows == []


@pytest.mark.parametrize("cursor", ["", "x", ".", "a.-1", "a.\uff19", f"a.{'9' * 40}", ",,,", "'; drop"])
def test_what_is_no_cursor_counts_as_none(cursor: str) -> None:
    """It comes from a browser."""
    board = following(row(0))
    assert len(board.newest(cursor.replace("a.", f"{board.newest('', ALL).cursor.partition('.')[0]}."), ALL).rows) <= 1


def test_more_than_an_answer_holds_is_counted() -> None:
    """A thousand a second are not drawn, but nobody is made to believe that nothing came."""
    board = following(*(row(i) for i in range(30)))
    found = board.newest("", ALL, limit=10)
    assert [one.place for one in found.rows] == [f"0-{i}" for i in range(29, 19, -1)]
    assert found.n_left_out == 20
    cursor = found.cursor
    for i in range(MOST_ROWS + 5):
        board.add_verdict(row(100 + i), NOW)
    assert board.newest(cursor, ALL, limit=10).n_lost == 5


def test_while_the_topics_are_read_back_the_newest_by_time_are_kept() -> None:
    """One partition is read before another one, so that the last that was read is not the newest."""
    board = Board(60)
    for offset in range(MOST_ROWS + 10):
        board.add_verdict(row(offset, NOW - offset), NOW)
    kept = board.newest("", ALL, limit=MOST_ROWS).rows
    assert kept[0].at_ms == NOW
    assert len(kept) == MOST_ROWS
    before = board.newest("", ALL).cursor
    board.caught_up()
    assert board.newest(before, ALL, limit=MOST_ROWS).rows == kept
    board.add_verdict(row(1_000_000, NOW - 1), NOW)
    assert board.newest("", ALL).rows[0].place == "0-1000000"


def test_each_filter_leaves_the_others_out() -> None:
    """Of a policy its own decision counts, not the default's."""
    policies = {
        "default": PolicyDecision(version="1", decision=Decision.ALLOW, decided_by=DecidedBy.MODEL),
        "toys": PolicyDecision(version="3", decision=Decision.BLOCK, decided_by=DecidedBy.ADVERTISER),
    }
    board = following(
        row(0, decisions=policies, chat_id="a%_1"),
        row(1, decision=Decision.REVIEW, language="de", chat_id="a%_2"),
        row(2, language=None, chat_id="b"),
    )

    def places(**wanted: str) -> list[str]:
        return [one.place for one in board.newest("", Wanted(**wanted)).rows]

    assert places(decision="review") == ["0-1"]
    assert places(policy="toys") == ["0-0"]
    assert places(policy="toys", decision="block") == ["0-0"]
    assert places(policy="toys", decision="allow") == []
    assert places(policy="toys", decided_by="advertiser") == ["0-0"]
    assert places(language="de") == ["0-1"]
    assert places(language="") == ["0-2"]
    assert places(chat="a%_") == ["0-1", "0-0"]
    assert places(category="F") == ["0-2", "0-1", "0-0"]
    assert places(category="A") == []
    shown = board.newest("", Wanted(policy="toys")).rows[0].document("toys")
    assert (shown["policy"], shown["decision"], shown["decided_by"]) == ("toys", "block", "advertiser")


def test_minutes_are_counted_and_forgotten() -> None:
    """By the time of publication, of this hour only; a clock that runs ahead counts as now."""
    board = Board(60)
    board.add_verdict(row(0, NOW), NOW)
    board.add_verdict(row(1, NOW - 5 * MINUTE_MS, cache_hit=True), NOW)
    board.add_verdict(row(2, NOW - 61 * MINUTE_MS), NOW)
    board.add_verdict(row(3, NOW + 90 * MINUTE_MS), NOW)
    figures = board.figures(NOW, 60)
    allowed = figures["series"]["decision"]["allow"]
    assert (allowed[-1], allowed[-6], sum(allowed)) == (2, 1, 3)
    assert figures["totals"]["cache"] == {"miss": 2, "hit": 1}
    assert figures["names"]["F"] == row(0).category
    later = board.figures(NOW + 70 * MINUTE_MS, 60)
    assert later["totals"] == {}


def test_what_a_writer_makes_up_fills_no_memory() -> None:
    """Ten thousand stages of one minute are a thousand and others."""
    board = Board(60)
    for i in range(3_000):
        board.add_verdict(row(i, stage=f"stage-{i}"), NOW)
    stages = board.figures(NOW, 60)["totals"]["stage"]
    assert len(stages) < 1_001
    assert stages[OTHER] > 1_900


def test_dead_letters_are_counted_by_reason_with_the_newest_of_each() -> None:
    """Without their text."""
    board = Board(60)
    for offset in range(3):
        letter = letter_record(offset)
        letter.timestamp_ms = NOW + offset
        board.add_letter(letter_of(letter), NOW)
    odd = record("chat-events.dlq", 0, 9, b"chat-9", b"{}", timestamp_ms=NOW)
    board.add_letter(letter_of(odd), NOW)
    found = {one["reason"]: one for one in board.figures(NOW, 60)["letters"]}
    assert found["schema_error"]["n"] == 3
    assert found["schema_error"]["source"] == "chat-events[0]@2"
    assert found["schema_error"]["chat_id"] == "chat-1"
    assert found["unreadable"]["chat_id"] == "chat-9"
    assert "no list" not in str(found)


def test_a_verdict_of_version_1_is_shown_and_what_is_none_is_not() -> None:
    """Topics hold both for a while."""
    old = verdict_of(record("verdicts", 2, 5, b"chat-1", (GOLDEN / "verdict.v1.json").read_bytes(), timestamp_ms=NOW))
    assert old is not None
    assert (old.place, old.said[0][1]) == ("2-5", "allow")
    for raw in (None, b"", b"{}", b"[1]", b"\xff", b'{"schema_version": 9}'):
        assert verdict_of(record("verdicts", 0, 0, b"chat-1", raw)) is None


def test_many_policies_are_kept_once() -> None:
    """Most verdicts say the same of all of them."""
    policies = {
        f"p{i}": PolicyDecision(version="1", decision=Decision.ALLOW, decided_by=DecidedBy.MODEL) for i in range(200)
    }
    policies["default"] = PolicyDecision(version="1", decision=Decision.ALLOW, decided_by=DecidedBy.MODEL)
    board = Board(60)
    first, second = (verdict_of(verdict_record(i, decisions=policies), board.share) for i in range(2))
    assert first is not None
    assert second is not None
    assert first.said is second.said
    assert len(first.said) == 50
    assert first.said[0][0] == "default"


def test_counts_begin_with_the_oldest_that_is_counted() -> None:
    """A record that is stamped long ago, or not at all, says nothing of when the reading began."""
    board = Board(60)
    for offset, at_ms in enumerate((NOW, NOW - 10 * MINUTE_MS, NOW - 600 * MINUTE_MS, -1)):
        board.add_verdict(row(offset, at_ms), NOW)
    assert board.since_ms == NOW - 10 * MINUTE_MS
