"""The account of a run: each published record against what came of it. Pure.

A record is known by its place on the broker (topic, partition, offset), which every verdict and dead letter names as
its source, so that two records with the same content are told apart.

Invariant: `n_open` is 0 exactly when every record that was handed over has a place and at least one answer.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from deploy.demo.events import Kind, Phase, Publication
from schemas import CategoryLabel, Decision, RejectionReason


class Place(NamedTuple):
    """Where a record is."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset}"


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


@dataclass(frozen=True, slots=True)
class Problems:
    """Every way in which the account can fail to balance."""

    missing: list[Place] = field(default_factory=list)
    """Published, never answered."""
    doubled: list[Place] = field(default_factory=list)
    """Answered more than once."""
    unknown: list[Place] = field(default_factory=list)
    """Answered, never published."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.doubled or self.unknown)


class Ledger:
    """What was published and what came of it."""

    def __init__(self) -> None:
        self._entries: dict[Place, Entry] = {}
        self._answers: dict[Place, Answer] = {}
        self._n_answers: Counter[Place] = Counter()
        self._n_handed_over = 0
        self._n_closed = 0

    def hand_over(self) -> None:
        """Note that a record was given to the producer; its place is not known yet."""
        self._n_handed_over += 1

    def acknowledge(self, place: Place, publication: Publication, phase: Phase) -> None:
        """Note where the broker has put a record. Its answer may have come first."""
        self._entries[place] = Entry(publication.kind, phase, publication.label)
        self._n_closed += place in self._answers

    def answer(self, answer: Answer) -> None:
        """Note a verdict or a dead letter; of several for one record, the first one stays."""
        place = answer.place
        self._n_answers[place] += 1
        if place not in self._answers:
            self._answers[place] = answer
            self._n_closed += place in self._entries

    @property
    def n_published(self) -> int:
        """Records given to the producer."""
        return self._n_handed_over

    @property
    def n_open(self) -> int:
        """Records given to the producer that have no answer yet."""
        return self._n_handed_over - self._n_closed

    def closed(self) -> Iterator[tuple[Entry, Answer]]:
        """Yield every published record that has an answer, with its answer."""
        for place, entry in self._entries.items():
            if place in self._answers:
                yield entry, self._answers[place]

    def n_of_kind(self, kind: Kind) -> int:
        """Acknowledged records of a kind."""
        return sum(entry.kind is kind for entry in self._entries.values())

    def problems(self) -> Problems:
        """Compare both sides of the account."""
        return Problems(
            missing=sorted(self._entries.keys() - self._answers.keys()),
            doubled=sorted(place for place, n in self._n_answers.items() if n > 1),
            unknown=sorted(self._answers.keys() - self._entries.keys()),
        )
