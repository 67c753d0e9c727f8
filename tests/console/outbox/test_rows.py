"""Rows of the outbox: which are due, in which order, and what becomes of them."""

from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from console.store.outbox_rows import (
    OUTBOX,
    Kind,
    OverrideSetBody,
    UnreadableBody,
    again,
    cancel,
    dismiss,
    due,
    failed,
    hurry,
    next_due_ms,
    put,
    refused,
    revision_of,
    sending,
    sent,
    start,
)
from console.store.outbox_shown import backlog, refusals, waiting_of_chat
from console.store.store import Store
from console.store.tables import outbox
from tests.console.outbox.parts import NOW, allow, block, clear, put_row, put_rows, report


def due_ids(store: Store, now: int = NOW) -> list[int]:
    """Return which rows are due."""
    with store.reading() as connection:
        return [row.id for row in due(connection, now, 100)]


def test_a_row_comes_back_as_it_was_put_once_it_is_due(every_store: Store) -> None:
    """Until then it can be taken back."""
    store = every_store
    body = allow(expires_in_s=60)
    row_id = put_row(store, body, "d1", not_before_ms=NOW + 10)
    assert due_ids(store, NOW + 9) == []
    with store.reading() as connection:
        (row,) = due(connection, NOW + 10, 100)
        assert next_due_ms(connection) == NOW + 10
    assert (row.id, row.decision_id, row.kind, row.body, row.n_tries) == (row_id, "d1", Kind.OVERRIDE_SET, body, 0)


def test_overrides_of_a_chat_go_one_after_the_other_and_hold_up_nothing_else(every_store: Store) -> None:
    """The topic keeps the last that is written; a report, or another chat, need not wait for it."""
    store = every_store
    first = put_row(store, block(), "d1", not_before_ms=NOW + 10_000)
    second = put_row(store, clear(), "d2")
    other = put_row(store, block("chat-8"), "d3")
    told = put_row(store, report(chat_id="chat-7"), "d4")
    assert due_ids(store) == [other, told]
    with store.reading() as connection:
        # The second one is due, and cannot go before the first: no reason to look again at once.
        assert next_due_ms(connection, (Kind.OVERRIDE_CLEAR,)) is None
    assert due_ids(store, NOW + 10_000) == [first, other, told]
    with store.writing() as connection:
        sent(connection, first, NOW + 10_001)
    assert due_ids(store, NOW + 10_001) == [second, other, told]


def test_what_was_refused_holds_nobody_up_and_can_be_tried_again(every_store: Store) -> None:
    """An admin sees why, mends it, and says so."""
    store = every_store
    first, second = put_row(store, block(), "d1"), put_row(store, clear(), "d2")
    with store.writing() as connection:
        refused(connection, first, NOW, "the stricter one counts")
        assert [(one.row, one.error) for one in refusals(connection)] == [(first, "the stricter one counts")]
        assert backlog(connection, NOW) == (1, NOW, 1)
        state = sending(connection, "d1", Kind.OVERRIDE_SET)
    assert state is not None
    assert (state.state, state.error) == ("refused", "the stricter one counts")
    assert due_ids(store) == [second]
    with store.writing() as connection:
        assert again(connection, first, NOW + 5)
        assert not again(connection, second, NOW + 5)
    assert due_ids(store, NOW + 5) == [first]


def test_a_refused_row_that_is_dismissed_is_counted_no_longer_and_goes_when_it_is_old(every_store: Store) -> None:
    """Its alert ends. It is not sent, and an admin who was wrong may still have it tried again."""
    store = every_store
    first, second = put_row(store, block(), "d1"), put_row(store, clear(), "d2")
    with store.writing() as connection:
        refused(connection, first, NOW, "the stricter one counts")
        assert not dismiss(connection, second, NOW)
        assert dismiss(connection, first, NOW + 1)
        assert not dismiss(connection, first, NOW + 2)
        assert refusals(connection) == []
        assert backlog(connection, NOW) == (1, NOW, 0)
        state = sending(connection, "d1", Kind.OVERRIDE_SET)
    assert state is not None
    assert state.state == "refused"
    assert due_ids(store) == [second]
    with store.writing() as connection:
        assert again(connection, first, NOW + 5)
        refused(connection, first, NOW + 6, "as before")
        assert [one.row for one in refusals(connection)] == [first]


def test_each_wait_is_twice_the_one_before_up_to_a_minute_or_so(every_store: Store) -> None:
    """A pipeline that is away is not asked all the time, and is asked again soon after it is back."""
    store = every_store
    row_id = put_row(store, block(), "d1")
    waits = []
    now = NOW
    for _ in range(9):
        with store.writing() as connection:
            failed(connection, row_id, now, "no answer")
            at = next_due_ms(connection)
        assert at is not None
        assert due_ids(store, at - 1) == []
        waits.append(at - now)
        now = at
    assert waits == [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000, 64_000, 64_000]


def test_what_was_put_off_can_be_hurried(every_store: Store) -> None:
    """The brokers are back."""
    store = every_store
    row_id = put_row(store, block(), "d1")
    with store.writing() as connection:
        failed(connection, row_id, NOW, "no answer")
        hurry(connection, NOW + 1, (Kind.FEEDBACK,))
    assert due_ids(store, NOW + 1) == []
    with store.writing() as connection:
        hurry(connection, NOW + 1, (Kind.OVERRIDE_SET,))
    assert due_ids(store, NOW + 1) == [row_id]


def test_a_row_is_cancelled_or_started_and_never_both(every_store: Store) -> None:
    """What may be on the topic is not taken back by forgetting it."""
    store = every_store
    waiting, started = put_row(store, block(), "d1"), put_row(store, block("chat-8"), "d2")
    with store.writing() as connection:
        assert start(connection, started, NOW, revision=5)
        assert cancel(connection, "d1", NOW)
        assert not cancel(connection, "d2", NOW)
        assert not start(connection, waiting, NOW, revision=6)
    assert due_ids(store) == [started]
    with store.reading() as connection:
        assert waiting_of_chat(connection, "chat-7") == 0
        assert waiting_of_chat(connection, "chat-8") == 1


def test_a_decision_with_one_part_on_its_way_is_not_cancelled_whole(every_store: Store) -> None:
    """The report is held back, and the override must be followed by its opposite."""
    store = every_store
    override, told = put_row(store, block(), "d1"), put_row(store, report(), "d1")
    with store.writing() as connection:
        assert start(connection, override, NOW, revision=5)
        assert not cancel(connection, "d1", NOW)
    assert due_ids(store) == [override]
    assert told not in due_ids(store)


def test_a_revision_is_given_once(every_store: Store) -> None:
    """A second console that had another one in mind writes nothing."""
    store = every_store
    row_id = put_row(store, block(), "d1")
    with store.writing() as connection:
        assert start(connection, row_id, NOW, revision=5)
        assert not start(connection, row_id, NOW + 1, revision=6)
        assert start(connection, row_id, NOW + 2, revision=5)
        assert revision_of(connection, "d1") == 5
        assert connection.execute(select(outbox.c.started_ms)).scalar() == NOW


def test_the_body_must_be_of_its_kind(every_store: Store) -> None:
    """Else the sender would meet it, long after the request that put it."""
    store = every_store
    with (
        pytest.raises(TypeError, match="OverrideSetBody; expected FeedbackBody of kind feedback"),
        store.writing() as c,
    ):
        put(c, Kind.FEEDBACK, "d1", block(), chat_id=None, chat_hash=None, not_before_ms=NOW)
    assert due_ids(store) == []


def test_the_sender_is_woken_after_the_commit_and_not_by_what_is_rolled_back(every_store: Store) -> None:
    """Before it the row could not be seen yet."""
    store = every_store
    seen: list[list[int]] = []
    store.listen(OUTBOX, lambda: seen.append(due_ids(store)))
    row_id = put_row(store, block(), "d1")
    assert seen == [[row_id]]
    with pytest.raises(IntegrityError):
        # Refused by the database after the first row was put.
        put_rows(store, [block(), block()], "d2")
    with store.writing() as connection:
        sent(connection, row_id, NOW)
    assert seen == [[row_id]]


def test_a_body_is_read_strictly() -> None:
    """A field that a later release added must not be dropped unseen."""
    with pytest.raises(ValueError, match="extra"):
        OverrideSetBody.model_validate(block().model_dump() | {"mode": "soft"})


def test_a_row_that_cannot_be_read_keeps_no_other_from_being_sent(every_store: Store) -> None:
    """A later release may have written it, before somebody went back to this one."""
    strange, good = put_row(every_store, block(), "d1"), put_row(every_store, block("chat-8"), "d2")
    with every_store.writing() as connection:
        connection.execute(outbox.update().where(outbox.c.id == strange).values(body=b'{"mode":"soft"}'))
        found = due(connection, NOW, 100)
    assert [(row.id, type(row.body)) for row in found] == [(strange, UnreadableBody), (good, OverrideSetBody)]


def test_what_is_looked_at_each_second_is_found_by_an_index(store: Store) -> None:
    """Rows that were sent stay for months."""
    statements: list[tuple[str, Any]] = []

    def seen(_c: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        if statement.startswith("SELECT"):
            statements.append((statement, values))

    with store.reading() as connection:
        event.listen(connection.engine, "before_cursor_execute", seen)
        due(connection, NOW, 100)
        next_due_ms(connection)
        backlog(connection, NOW)
        refusals(connection)
        event.remove(connection.engine, "before_cursor_execute", seen)
        plans = [
            " ".join(row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values))
            for statement, values in statements
        ]
    assert len(plans) == 6
    assert [plan for plan in plans if "SCAN" in plan] == []
