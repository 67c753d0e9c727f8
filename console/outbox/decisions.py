"""Send decisions and reports to their topics: what is due, in order for each chat, marked as sent after the commit.

A row is marked as started, with the revision of its override, before it is written. A console that dies in between
leaves it started, and the next one writes the same record again: readers that drop repeats by decision id, verdict id
or key lose nothing and see nothing twice.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog
from pydantic import ValidationError

from console.outbox.holding import Holding
from console.outbox.state import SendingState
from console.pipeline.errors import PipelineAway
from console.pipeline.feedback import record_of_feedback
from console.pipeline.overrides import Cleared, Decided, OverrideTopic, Planned, Seen
from console.pipeline.writer import PipelineWriter, RecordRefused
from console.store import outbox_rows
from console.store.outbox_rows import OVERRIDES, FeedbackBody, Kind, OutboxRow, OverrideClearBody, OverrideSetBody
from console.store.store import Store, now_ms
from schemas import Feedback
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

KINDS: Final = (*OVERRIDES, Kind.FEEDBACK)
_AT_ONCE: Final = 200
"""Rows of one transaction: few enough that one is done well within its time limit."""
_POLL_S: Final = 1.0
"""Between two looks where nothing wakes the thread: another console may have put a row."""
_LEAST_S: Final = 0.1
"""A row may be due and wait for an earlier one of its chat, which is put off: no reason to look without a pause."""


class _Ready(NamedTuple):
    """A row with what is written of it."""

    row: OutboxRow
    planned: Planned


class DecisionSender:
    """Sends in turns; for one thread.

    Args:
        store: The database.
        settings: The worker's.
        topic: Follows the overrides topic.
        writer: Writes.
        holding: Says whether this console sends.
        state: Shows how it goes.
        clock_ms: Milliseconds since 1970.
    """

    def __init__(
        self,
        store: Store,
        settings: WorkerSettings,
        *,
        topic: OverrideTopic,
        writer: PipelineWriter,
        holding: Holding,
        state: SendingState,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._store = store
        self._settings = settings
        self._topic = topic
        self._writer = writer
        self._holding = holding
        self._state = state
        self._clock_ms = clock_ms
        self._is_cut_off = False
        """Whether no connection could be made when it was last tried: once it can, nothing needs to wait any longer."""

    def turn(self) -> float:
        """Send what is due; return the seconds until it is to be called again.

        Raises:
            StoreAway: the database does not answer.
        """
        is_followed = self._follow()
        self._state.show(self._store, self._clock_ms())
        if not self._holding.is_mine():
            # Whoever holds the lease now fenced this producer, or will: to open it here would fence theirs.
            self._writer.close()
            if is_followed:
                self._is_cut_off = False
                self._state.well()
            return _POLL_S
        if is_followed and self._is_cut_off:
            self._be_ready()
        before: set[int] = set()
        # The same rows again were neither sent nor put off: another console has taken one of them up.
        while (rows := self._due()) and before != (before := {row.id for row in rows}):
            if not self._send(rows) or not self._holding.is_mine():
                break
            self._state.show(self._store, self._clock_ms())
        if not before and not self._is_cut_off:
            self._be_ready()
        return self._wait_s()

    def _be_ready(self) -> None:
        """Connect while nothing is due: a first transaction takes seconds where the brokers have just started.

        After an outage what was put off is sent at once.
        """
        try:
            self._writer.open()
        except PipelineAway as error:
            self._cut_off(str(error))
            return
        if self._is_cut_off:
            self._is_cut_off = False
            self._state.well()
            with self._store.writing() as connection:
                outbox_rows.hurry(connection, self._clock_ms(), KINDS)

    def _cut_off(self, error: str) -> None:
        self._is_cut_off = True
        self._state.away(error, self._clock_ms())

    def end(self) -> None:
        """Let another console go on at once, and close what is open."""
        self._topic.close()
        self._writer.close()
        self._holding.give_back()

    def _follow(self) -> bool:
        """Follow the topic, also without the lease: what stands is asked for here. Say whether it can be followed."""
        try:
            self._topic.follow()
        except PipelineAway as error:
            self._cut_off(str(error))
            return False
        except RecordRefused:
            # The settings name no topic of overrides: each row that needs one is refused with that text.
            return True
        return True

    def _due(self) -> list[OutboxRow]:
        with self._store.reading() as connection:
            return outbox_rows.due(connection, self._clock_ms(), _AT_ONCE, KINDS)

    def _send(self, rows: Sequence[OutboxRow]) -> bool:
        """Send rows: decisions first, then reports; say whether the pipeline answered."""
        decisions = [row for row in rows if row.kind in OVERRIDES]
        reports = [row for row in rows if row.kind is Kind.FEEDBACK]
        answered = [self._send_kind(part) for part in (decisions, reports) if part]
        return all(answered)

    def _send_kind(self, rows: Sequence[OutboxRow]) -> bool:
        try:
            if rows[0].kind in OVERRIDES:
                self._topic.follow()
            ready = [one for row in rows if (one := self._planned(row)) is not None]
            ready = self._started(ready)
            self._write(ready)
        except PipelineAway as error:
            self._fail(rows, str(error))
            return False
        except RecordRefused as error:
            # Of settings, not of a row; a row's own refusal is dealt with where it is planned or written.
            self._refuse(rows, str(error))
            return True
        self._state.well()
        return True

    def _planned(self, row: OutboxRow) -> _Ready | None:
        """Return what is to be written of a row; None where that is refused.

        Raises:
            PipelineAway: the overrides topic was not read yet.
        """
        try:
            return _Ready(row, self._plan(row))
        except RecordRefused as error:
            self._refuse([row], str(error))
            return None

    def _plan(self, row: OutboxRow) -> Planned:
        match row.body:
            case OverrideSetBody() as body:
                return self._topic.plan(_decided(body), row.decision_id, row.revision, _time(self._clock_ms()))
            case OverrideClearBody() as body:
                return self._plan_clear(row, body)
            case FeedbackBody() as body:
                return Planned([record_of_feedback(self._settings, _report(body))], ())
        raise RecordRefused(
            "the row's body is not understood; expected what this release writes; a later release wrote it; use that"
        )

    def _plan_clear(self, row: OutboxRow, body: OverrideClearBody) -> Planned:
        revision = None
        if body.undoes is not None:
            with self._store.reading() as connection:
                revision = outbox_rows.revision_of(connection, body.undoes)
            if revision is None:
                return Planned((), (), note="what it undoes was never written")
        cleared = Cleared(
            body.chat_id, body.policy, body.whole_chat, revision, body.actor, body.reason, _time(row.created_ms)
        )
        return self._topic.plan_clear(cleared, row.decision_id)

    def _started(self, ready: Sequence[_Ready]) -> list[_Ready]:
        """Mark rows as started; those that were cancelled or erased meanwhile are left out."""
        now = self._clock_ms()
        with self._store.writing() as connection:
            return [one for one in ready if outbox_rows.start(connection, one.row.id, now, one.planned.revision)]

    def _write(self, ready: Sequence[_Ready]) -> None:
        """Write rows in one transaction and mark them as sent; one by one where the brokers refuse one of them."""
        records = [record for one in ready for record in one.planned.records]
        try:
            if records:
                self._writer.write(records)
        except RecordRefused as error:
            if len(ready) == 1:
                self._refuse([ready[0].row], str(error))
                return
            for one in ready:
                self._write([one])
            return
        for one in ready:
            self._topic.written(one.planned)
        now = self._clock_ms()
        with self._store.writing() as connection:
            for one in ready:
                outbox_rows.sent(connection, one.row.id, now, note=one.planned.note)
        for one in ready:
            self._state.sent(one.row.kind)
            log.info(
                "outbox_row_sent",
                kind=one.row.kind.value,
                decision_id=one.row.decision_id,
                revision=one.planned.revision,
                waited_ms=now - one.row.not_before_ms,
                note=one.planned.note,
            )

    def _fail(self, rows: Sequence[OutboxRow], error: str) -> None:
        now = self._clock_ms()
        self._state.away(error, now)
        with self._store.writing() as connection:
            for row in rows:
                outbox_rows.failed(connection, row.id, now, error)

    def _refuse(self, rows: Sequence[OutboxRow], error: str) -> None:
        now = self._clock_ms()
        with self._store.writing() as connection:
            for row in rows:
                outbox_rows.refused(connection, row.id, now, error)
        for row in rows:
            self._state.refused(row.kind)
            log.error(
                "outbox_row_refused",
                kind=row.kind.value,
                decision_id=row.decision_id,
                error=error,
                remedy="it is not tried again by itself; GET /v1/outbox shows it, POST /v1/outbox/ROW/again tries it, "
                "POST /v1/outbox/ROW/dismiss leaves it",
            )

    def _wait_s(self) -> float:
        with self._store.reading() as connection:
            at_ms = outbox_rows.next_due_ms(connection, KINDS)
        if at_ms is None:
            return _POLL_S
        return min(_POLL_S, max(_LEAST_S, (at_ms - self._clock_ms()) / 1_000))


def _decided(body: OverrideSetBody) -> Decided:
    seen = Seen(body.chat_id, body.verdict_id, body.fingerprint, body.source, body.seen_revision)
    return Decided(
        seen,
        body.decision,
        body.policy,
        body.whole_chat,
        None if body.expires_in_s is None else timedelta(seconds=body.expires_in_s),
        body.actor,
        body.reason,
        _time(body.decided_ms),
    )


def _report(body: FeedbackBody) -> Feedback:
    values = body.model_dump(exclude={"reported_ms"}) | {"reported_at": _time(body.reported_ms)}
    try:
        return Feedback.model_validate(values)
    except ValidationError as error:
        fields = ", ".join(".".join(map(str, fault["loc"])) or "the report" for fault in error.errors())
        raise RecordRefused(
            f"{fields}: not what a report may hold; expected what feedback.v1.schema.json says"
        ) from None


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1_000, UTC)
