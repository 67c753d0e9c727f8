"""Decide on a batch, row after row in input order: what was decided on a chat may bear on its next event."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from model.policies.context import NO_CONTEXT, DecisionContext
from schemas import Verdict
from worker.outcome_encoding import OutgoingMessage
from worker.record import Event, Row
from worker.verdict_builder import VerdictBuilder


class ContextSource:
    """One kind of thing that bears on decisions: earlier decisions, people, lists. The base knows of nothing.

    All but `messages` and `committed` are called by the loop's thread; these two by the thread that commits, one batch
    at a time, while the loop decides on the next one.
    """

    def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:  # noqa: ARG002
        """Return the context of an event with what this source knows, or the same object where it knows nothing."""
        return context

    def decided(self, event: Event, verdict: Verdict) -> None:
        """Take note of a decision; the next event of the chat may be in the same batch. It is not committed yet."""

    def passed(self, row: Row) -> None:
        """Take note of a row that is not decided on: it was rejected, or asks that its chat be forgotten."""

    def messages(self, rows: Sequence[Row]) -> Iterable[OutgoingMessage]:  # noqa: ARG002
        """Return what is written in the transaction of these settled rows, besides their outcomes."""
        return ()

    def committed(self, rows: Sequence[Row]) -> None:
        """Take note that a batch is committed."""

    def rewound(self) -> None:
        """Forget what was noted and not committed: it will be read again."""


def decide(
    rows: Iterable[Row], builder: VerdictBuilder, sources: Sequence[ContextSource], decided_at: datetime
) -> None:
    """Give every row that has a reading its verdict.

    Args:
        rows: A batch, in input order.
        builder: Its policies decide.
        sources: What bears on decisions, each asked in turn.
        decided_at: The clock.
    """
    for row in rows:
        event, reading = row.event, row.reading
        if event is None or reading is None:
            for source in sources:
                source.passed(row)
            continue
        context = NO_CONTEXT
        for source in sources:
            context = source.bear(event, builder, context)
        row.verdict = builder.verdict(event, reading, decided_at, context)
        for source in sources:
            source.decided(event, row.verdict)
