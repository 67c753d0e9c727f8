"""Publish a batch of a replay: the worker's transaction, with the tally beside each offset and with what changed."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from schemas import Decision, VerdictChange, encode_verdict_change
from worker.errors import BatchAborted
from worker.kafka.publisher import GroupMember, Notes, Offsets, TransactionalPublisher
from worker.outcome_encoding import OutgoingMessage, OutputTopics
from worker.replay.plan.replay_plan import Partition
from worker.replay.report.tally import Outcomes
from worker.replay.run.old_verdicts import OldVerdicts
from worker.replay.run.progress import Progress


class Comparison:
    """Compares new verdicts with old ones.

    Args:
        old: What was said before.
        topic: Where changes go.
    """

    def __init__(self, old: OldVerdicts, topic: str) -> None:
        self._old = old
        self._topic = topic

    def compare(self, message: OutgoingMessage) -> tuple[Outcomes, OutgoingMessage | None]:
        """Return the account of one new verdict, and the change where there is one."""
        old = self._old.of(message.place)
        if old is None:
            return Outcomes(n_verdicts=1), None
        verdict = orjson.loads(message.value or b"")
        category, decision = verdict["category"]["code"], Decision(verdict["decision"])
        was = old.category.code.value
        if (category, decision) == (was, old.decision):
            return Outcomes(n_verdicts=1, n_compared=1), None
        outcomes = Outcomes(
            n_verdicts=1,
            n_compared=1,
            n_changed=1,
            categories={} if category == was else {was + category: 1},
            decisions={} if decision is old.decision else {old.decision.value[0] + decision.value[0]: 1},
        )
        return outcomes, self._message(message, verdict, old=old)

    def _message(self, message: OutgoingMessage, verdict: Mapping[str, Any], **fields: Any) -> OutgoingMessage:
        change = VerdictChange.model_validate(
            {
                **{name: verdict[name] for name in VerdictChange.model_fields if name in verdict},
                "schema_version": VerdictChange.model_fields["schema_version"].default,
                "new": {"category": verdict["category"], "decision": verdict["decision"]},
                **fields,
            }
        )
        return OutgoingMessage(self._topic, message.key, encode_verdict_change(change), message.headers, message.place)


class ReplayPublisher:
    """Publishes for the loop. Used by one thread at a time.

    Args:
        inner: The transactional publisher.
        progress: The owned partitions.
        topics: Output topics.
        comparison: None where nothing is compared.
    """

    def __init__(
        self,
        inner: TransactionalPublisher,
        progress: Progress,
        topics: OutputTopics,
        comparison: Comparison | None,
    ) -> None:
        self._inner = inner
        self._progress = progress
        self._topics = topics
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
        counts: dict[Partition, Counter[str]] = defaultdict(Counter)
        compared: dict[Partition, Outcomes] = defaultdict(Outcomes)
        changes: list[OutgoingMessage] = []
        for message in messages:
            place = message.place[:2]
            if message.topic != self._topics.verdicts:
                counts[place]["dead_letters"] += 1
            elif self._comparison is None:
                counts[place]["verdicts"] += 1
            else:
                found, change = self._comparison.compare(message)
                compared[place] += found
                changes += [change] if change is not None else []
        for place, count in counts.items():
            compared[place] += Outcomes(count["verdicts"], count["dead_letters"])
        return compared, changes

    def close(self) -> None:
        """Release the connection."""
        self._inner.close()
