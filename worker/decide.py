"""Decide on a batch, row after row in input order: what was decided on a chat may bear on its next event."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from model.policies.context import NO_CONTEXT, DecisionContext
from schemas import Verdict
from worker.kafka.partition_range import Partition
from worker.outcome_encoding import OutgoingMessage
from worker.record import Event, Row
from worker.verdict_builder import VerdictBuilder


class ContextSource:
    """One kind of thing that bears on decisions: earlier decisions, people, lists. The base knows of nothing.

    All but `messages` and `committed` are called by the loop's thread; these two by the thread that commits, one batch
    at a time, while the loop decides on the next one.
    """

    def begin(self) -> None:
        """Take that something is about to be decided on, mostly a batch: what is new counts from here on."""

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
    for source in sources:
        source.begin()
    for row in rows:
        event, reading = row.event, row.reading
        if event is None or reading is None:
            for source in sources:
                source.passed(row)
            continue
        row.verdict = builder.verdict(event, reading, decided_at, context_of(event, builder, sources))
        for source in sources:
            source.decided(event, row.verdict)


def context_of(event: Event, builder: VerdictBuilder, sources: Sequence[ContextSource]) -> DecisionContext:
    """Return what bears on the decisions on one event; `NO_CONTEXT` itself where nothing does."""
    context = NO_CONTEXT
    for source in sources:
        context = source.bear(event, builder, context)
    return context


class Answers(Protocol):
    """Events that are to be decided on again though their chats say nothing more: a person has decided."""

    def take(self, owns: Callable[[Partition], bool]) -> list[Row]:
        """Return a few events that are due, of partitions that this worker owns; mostly none.

        What is returned counts as in hand until `answered`, or `ContextSource.rewound`. Until then nothing more is
        returned: its commit may be in flight, and which events it is of must be known should it be aborted.
        """

    def compare(self, rows: Sequence[Row], cached: Mapping[str, Verdict]) -> None:
        """Look whether the chats have gone on meanwhile, as the cache shows them."""

    def answered(self, rows: Sequence[Row]) -> None:
        """Take that these rows are dealt with: published, or without a verdict for good."""


def decide_again(
    rows: Iterable[Row], builder: VerdictBuilder, sources: Sequence[ContextSource], decided_at: datetime
) -> list[Row]:
    """Give the rows on which a person's decision bears a verdict that says so; return them.

    Args:
        rows: Events of `Answers.take`, with their readings.
        builder: Its policies decide.
        sources: What bears on decisions.
        decided_at: The clock.
    """
    # A worker without records decides on no batch: what came meanwhile, a deny list say, counts here too.
    for source in sources:
        source.begin()
    decided = []
    for row in rows:
        event, reading = row.event, row.reading
        if event is None or reading is None:
            continue
        context = context_of(event, builder, sources)
        # It may have expired, or been taken back, while the event was fetched.
        if context.override_revision:
            row.verdict = builder.override(event, reading, decided_at, context)
            decided.append(row)
    return decided
