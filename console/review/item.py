"""What the queue gives and takes. Times are milliseconds since 1970.

Invariant: none of it holds chat text. `shown` (console/review/shown.py) says what of an item its reviewer may see.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from schemas import Source

EVERY_POLICY: Final = "*"

Order = Literal["risk", "age"]
"""`risk`: the riskiest first, weighted by age; `age`: what arrived first."""


class ItemKind(StrEnum):
    """Why a person is asked."""

    REVIEW = "review"
    """A policy says `review`."""
    SAMPLE = "sample"
    """An automatic decision, drawn to see how often it is right."""
    GOLD = "gold"
    """A chat whose answer is known, to see how often a reviewer is right."""
    APPEAL = "appeal"
    """Somebody objects to a decision."""


BLIND_KINDS: Final = frozenset({ItemKind.SAMPLE, ItemKind.GOLD})
"""Their reviewers do not see what the model says."""


class ItemState(StrEnum):
    """Where an item stands."""

    OPEN = "open"
    DONE = "done"
    ERASED = "erased"


class Outcome(StrEnum):
    """What a reviewer answers."""

    ALLOW = "allow"
    BLOCK = "block"
    SKIP = "skip"


@dataclass(frozen=True)
class Earlier:
    """What was answered on the same text before."""

    outcome: str
    category: str | None
    """The category that was right, where the reviewer named one."""
    reason: str | None
    reviewer: str
    at_ms: int


@dataclass(frozen=True)
class Opinion:
    """An answer that an adjudicator sees: without its reviewer's name."""

    outcome: str
    category: str | None
    reason: str | None
    note: str | None


@dataclass(frozen=True)
class Item:
    """One item of the queue: its row, and who holds it."""

    id: int
    kind: str
    queue: str
    state: str
    verdict_id: str
    chat_id: str | None
    chat_hash: str | None
    topic: str | None
    partition: int | None
    record_offset: int | None
    timestamp_ms: int | None
    fingerprint: str | None
    policies: list[dict[str, Any]]
    taxonomy: dict[str, Any]
    category: str
    evidence: dict[str, float]
    language: str | None
    unevaluated: list[str]
    model: dict[str, Any]
    risk: float
    decided_ms: int
    arrived_ms: int
    order_ms: int
    n_wanted: int
    n_answers: int
    closed_ms: int | None
    stratum: str | None
    inclusion: float | None
    gold_key: str | None
    gold_decision: str | None
    gold_category: str | None
    appealed_id: int | None
    closed_why: str | None
    closed_by: str | None
    meant_for: str | None
    claimed_by: str | None = None
    """Whoever holds it: the reviewer who asks, where they do; else somebody who leaves no place for them."""
    claim_until_ms: int | None = None
    was_skipped: bool = False
    """By the reviewer who asks."""
    earlier: Earlier | None = None
    """Of the same text, where that cannot sway an answer that is to be independent."""

    @property
    def text_at(self) -> tuple[str, int, int, str] | None:
        """Topic, partition and offset of its text, and whose it is, as `text_of` asks; None where nothing names it."""
        if self.source is None or self.chat_id is None:
            return None
        return self.source.topic, self.source.partition, self.source.offset, self.chat_id

    @property
    def is_blind(self) -> bool:
        """Whether its reviewer must not see what the model says."""
        return self.kind in BLIND_KINDS

    @property
    def is_disputed(self) -> bool:
        """Whether its reviewers disagree, so that an adjudicator's answer is wanted."""
        return self.state == ItemState.OPEN and self.n_answers >= self.n_wanted

    @property
    def codes(self) -> list[str]:
        """Codes of its taxonomy's categories."""
        return list(self.evidence)

    @property
    def source(self) -> Source | None:
        """The record that holds its text; None of a gold item, and of an item that was erased."""
        if self.topic is None or self.partition is None or self.record_offset is None:
            return None
        return Source(
            topic=self.topic,
            partition=self.partition,
            offset=self.record_offset,
            timestamp_ms=-1 if self.timestamp_ms is None else self.timestamp_ms,
        )


@dataclass(frozen=True)
class Page:
    """A part of the queue, and how the whole of it stands."""

    items: list[Item]
    total: int
    """Open items for this reviewer, of the queue and kind that were asked for."""
    oldest_ms: int | None
    """When the item arrived that waits longest; None of an empty queue."""
    n_late: int
    """How many wait for longer than `review.answer_within_s`."""
    p95_wait_ms: int | None
    """19 of 20 open items wait for no longer."""
    after: str | None
    """Where the next page begins; None at the end."""


@dataclass(frozen=True)
class QueueStanding:
    """How one queue stands."""

    queue: str
    n_open: int
    oldest_ms: int | None
    n_late: int
    p95_wait_ms: int | None


@dataclass(frozen=True)
class Claim:
    """An item that is one person's for a time."""

    item: Item
    token: str
    until_ms: int
    opinions: tuple[Opinion, ...] = ()
    """What its reviewers said, of an item in dispute."""


@dataclass(frozen=True)
class Wish:
    """An answer as its reviewer wants it."""

    outcome: str
    category: str | None = None
    """The category that is right; None: not said. Reports name a category only where their reviewer did."""
    reason: str | None = None
    note: str | None = None
    policy: str | None = None
    """For which policy the decision is meant; `*`: for all; None: for those that ask."""
    whole_chat: bool = False
    """Whether an allow counts for whatever the chat says."""


@dataclass(frozen=True)
class Answered:
    """An answer as it was taken."""

    answer_id: int
    decision_id: str
    item: Item
    """As it stands now: `done`, or `open` where further opinions are wanted or it was skipped."""
    sends_at_ms: int | None
    """When it is sent; until then undoing it leaves no trace outside. None where nothing is sent."""


@dataclass(frozen=True)
class BulkFilter:
    """Which open reviews a bulk action is about: a category, a text, or what is near a text is named."""

    category: str | None = None
    fingerprint: str | None = None
    """Of one text."""
    policy: str | None = None
    """The first policy that asks: the item's queue."""
    near: int | None = None
    """An item: texts that are near-identical to its own."""


@dataclass(frozen=True)
class Preview:
    """What a bulk action would be about."""

    n_matching: int
    sample: list[Item]
    """Spread evenly over the matching items, the first and the last among them; of a filter by nearness, those whose
    texts are the least near, these first."""
    alike: dict[int, float] = field(default_factory=dict)
    """Of a filter by nearness: how near each matching item's text is, .8 to 1, by its id."""


@dataclass(frozen=True)
class BulkResult:
    """What a bulk action did."""

    batch: str
    n_matching: int
    answer_ids: list[int]
    """One for each item that was answered; at most the cap."""
    sends_at_ms: int | None


@dataclass(frozen=True)
class BatchUndone:
    """What came of undoing a batch."""

    n_undone: int
    n_left: int
    """Answers that stay: undone before, or somebody else has the item now."""
