"""The account of a run: each published record against what came of it, as far as the demo shows it. Pure.

Invariant: `n_open` is 0 exactly when every record that was handed over has a place and at least one answer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from deploy.demo.events import Kind, Phase, Publication
from schemas import CategoryLabel, Decision, RejectionReason
from testkit.ledger import Faults, Ledger
from testkit.records import InputRecord, Place
from testkit.topics import Topics


@dataclass(frozen=True, slots=True)
class VerdictSeen:
    """A committed verdict, as far as the demo needs it."""

    place: Place
    latency_ms: float
    """From the append of the record on the broker to the verdict in a read_committed reader's hands."""
    chat_id: str
    category: CategoryLabel
    decision: Decision
    risk: float
    cache_hit: bool
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class DeadLetterSeen:
    """A committed dead letter, as far as the demo needs it."""

    place: Place
    latency_ms: float
    reason: RejectionReason
    seen_at: datetime


Answer = VerdictSeen | DeadLetterSeen


@dataclass(frozen=True, slots=True)
class Entry:
    """A record that the broker has acknowledged."""

    kind: Kind
    phase: Phase
    label: str | None


class DemoAccount:
    """What was published and what came of it: the harness' ledger, with what is shown of each record."""

    def __init__(self, topics: Topics) -> None:
        self._ledger = Ledger(topics)
        self._entries: dict[Place, Entry] = {}
        self._answers: dict[Place, Answer] = {}

    def hand_over(self) -> None:
        """Note that a record was given to the producer; its place is not known yet."""
        self._ledger.handed_over(self._ledger.n_sent, 0.0)

    def acknowledge(self, place: Place, publication: Publication, phase: Phase) -> None:
        """Note where the broker has put a record. Its answer may have come first."""
        self._entries[place] = Entry(publication.kind, phase, publication.label)
        self._ledger.acknowledged(place, InputRecord(publication.key, publication.value))

    def answer(self, answer: Answer) -> None:
        """Note a verdict or a dead letter; of several for one record, the first one stays."""
        self._ledger.answered(answer.place)
        self._answers.setdefault(answer.place, answer)

    @property
    def n_published(self) -> int:
        """Records given to the producer."""
        return self._ledger.n_sent

    @property
    def n_open(self) -> int:
        """Records given to the producer that have no answer yet."""
        return self._ledger.n_lost

    def closed(self) -> Iterator[tuple[Entry, Answer]]:
        """Yield every published record that has an answer, with its answer."""
        for place, entry in self._entries.items():
            if place in self._answers:
                yield entry, self._answers[place]

    def n_of_kind(self, kind: Kind) -> int:
        """Acknowledged records of a kind."""
        return sum(entry.kind is kind for entry in self._entries.values())

    def problems(self) -> Faults:
        """Compare both sides of the account."""
        return self._ledger.faults()
