"""What people decided bears on events, and on those that were judged before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from model.policies.context import DecisionContext
from schemas import Verdict
from worker.decide import ContextSource
from worker.kafka.partition_range import Partition
from worker.overrides.answers import Answers
from worker.overrides.applying import applying, newest_of, said_by
from worker.overrides.register import OverrideRegister
from worker.record import Event, Row, erased_chat
from worker.verdict_builder import VerdictBuilder


class OverrideSource(ContextSource):
    """Asked by the loop; see `worker.decide.ContextSource` and `worker.decide.Answers`.

    Args:
        register: All overrides.
        answers: Those that are due.
        clock: Now, UTC.
    """

    def __init__(
        self,
        register: OverrideRegister,
        answers: Answers,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._register = register
        self._answers = answers
        self._clock = clock

    def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:  # noqa: ARG002
        """Return the context with what people decided on this chat, as long as it says this."""
        standing = self._register.of(event.chat.chat_id)
        if not standing or not (found := applying(standing, event.fingerprint, self._clock())):
            return context
        newest = newest_of(found)
        return replace(context, said=said_by(found), override_revision=newest.revision, actor=newest.actor)

    def passed(self, row: Row) -> None:
        """Leave a chat unanswered that asks to be forgotten."""
        if (chat_id := erased_chat(row)) is not None:
            self._answers.forget(chat_id)

    def take(self, owns: Callable[[Partition], bool]) -> list[Row]:
        """Return a few events that are due."""
        return self._answers.take(owns)

    def compare(self, rows: Sequence[Row], cached: Mapping[str, Verdict]) -> None:
        """Look whether the chats have gone on meanwhile."""
        self._answers.compare(rows, cached)

    def answered(self, rows: Sequence[Row]) -> None:
        """Take that these are dealt with."""
        self._answers.answered(rows)

    def rewound(self) -> None:
        """Take that those in hand are not dealt with."""
        self._answers.rewound()
