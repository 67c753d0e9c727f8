"""Publish a batch of a replay: the worker's transaction, with the tally beside each offset and with what changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from schemas import Standing, Verdict, VerdictChange, encode_verdict_change
from worker.errors import BatchAborted
from worker.kafka.partition_range import Partition
from worker.kafka.publisher import GroupMember, Notes, Offsets, TransactionalPublisher
from worker.moves.counts import OutcomeCounter, Outcomes
from worker.outcome_encoding import OutgoingMessage
from worker.replay.run.old_verdicts import OldVerdict, OldVerdicts
from worker.replay.run.progress import Progress

_VERDICT: Final = Outcomes(n_verdicts=1)
"""One that was not compared."""
_DEAD_LETTER: Final = Outcomes(n_dead_letters=1)


class ChangeFinder:
    """Compares new verdicts with old ones.

    Args:
        old: What was said before.
        topic: Where changes go.
    """

    def __init__(self, old: OldVerdicts, topic: str) -> None:
        self._old = old
        self._topic = topic

    def compare(self, message: OutgoingMessage, verdict: Verdict) -> tuple[Outcomes, OutgoingMessage | None]:
        """Return the account of one new verdict, and the change where there is one.

        Args:
            message: The verdict's message.
            verdict: What it says.
        """
        old = self._old.of(message.place)
        # A verdict of another taxonomy is not compared: its categories mean something else, even under the same codes.
        # Nor is one of a category that this taxonomy does not have, though somebody gave both the same name.
        if old is None or old.taxonomy != verdict.taxonomy.name or old.category.code not in verdict.probabilities:
            return _VERDICT, None
        category, was = verdict.category.code, old.category.code
        has_moved = category != was
        if not has_moved and verdict.decision is old.decision:
            return Outcomes(n_verdicts=1, n_compared=1), None
        outcomes = Outcomes(
            n_verdicts=1,
            n_compared=1,
            n_changed=1,
            categories={(was, category): 1} if has_moved else {},
            decisions={} if verdict.decision is old.decision else {(old.decision.value, verdict.decision.value): 1},
        )
        change = encode_verdict_change(_change(old, verdict))
        return outcomes, OutgoingMessage(self._topic, message.key, change, message.headers, message.place)


def _change(old: OldVerdict, verdict: Verdict) -> VerdictChange:
    return VerdictChange.model_validate(
        {
            **{name: value for name, value in vars(verdict).items() if name in VerdictChange.model_fields},
            "schema_version": VerdictChange.model_fields["schema_version"].default,
            "old": Standing(category=old.category, decision=old.decision),
            "new": Standing(category=verdict.category, decision=verdict.decision),
        }
    )


class ReplayPublisher:
    """Publishes for the loop. Used by one thread at a time.

    Args:
        inner: The transactional publisher.
        progress: The owned partitions.
        comparison: None where nothing is compared.
    """

    def __init__(
        self,
        inner: TransactionalPublisher,
        progress: Progress,
        comparison: ChangeFinder | None,
    ) -> None:
        self._inner = inner
        self._progress = progress
        self._comparison = comparison

    def commit(
        self,
        messages: Sequence[OutgoingMessage],
        offsets: Offsets,
        member: GroupMember,
        notes: Notes | None = None,  # noqa: ARG002  a replay's notes are its tallies
    ) -> None:
        """Publish messages, changes, offsets and tallies in one transaction; see `Publisher.commit`.

        Raises:
            BatchAborted: nothing was committed, or it is unknown whether it was.
            Fatal: nothing was committed; nothing more can be, or the tally does not balance.
        """
        outcomes, changes = self._account(messages)
        if gone := offsets.keys() - self._progress.keys():
            raise BatchAborted(f"{len(gone)} partitions of the batch belong to another process now")
        settled = {
            place: self._progress[place].settled(next_offset, outcomes[place]) for place, next_offset in offsets.items()
        }
        frontiers = {place: frontier for place, (frontier, _) in settled.items()}
        tallies = {place: tally.to_note() for place, (_, tally) in settled.items()}
        self._inner.commit([*messages, *changes], frontiers, member, tallies)
        for place, (frontier, tally) in settled.items():
            self._progress[place].committed = frontier
            self._progress[place].outcomes = tally.outcomes

    def _account(
        self, messages: Sequence[OutgoingMessage]
    ) -> tuple[Mapping[Partition, Outcomes], list[OutgoingMessage]]:
        counters: dict[Partition, OutcomeCounter] = defaultdict(OutcomeCounter)
        changes: list[OutgoingMessage] = []
        for message in messages:
            if message.verdict is None:
                outcomes = _DEAD_LETTER
            elif self._comparison is None:
                outcomes = _VERDICT
            else:
                outcomes, change = self._comparison.compare(message, message.verdict)
                changes += [change] if change is not None else []
            counters[message.place[:2]].add(outcomes)
        # A partition of which only offsets are committed has no message, and no outcome.
        return defaultdict(Outcomes, {place: counter.total() for place, counter in counters.items()}), changes

    def close(self) -> None:
        """Release the connection."""
        self._inner.close()
