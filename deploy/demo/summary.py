"""The numbers of a run, computed from its account. Pure."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from deploy.demo.account import DeadLetterSeen, DemoAccount, Entry, VerdictSeen
from deploy.demo.events import Kind, Phase
from deploy.demo.model_in_use import ModelInUse
from schemas import Decision


@dataclass(frozen=True, slots=True)
class Durations:
    """How long the parts of a run took, seconds."""

    stack_start_s: float
    """Kafka and Redis up, topics created."""
    worker_start_s: float
    """From the start of the worker's process to its first answer."""
    backlog_s: float
    """From the first record of the backlog to the last answer."""
    paced_s: float
    """From the first paced record to the last answer."""


@dataclass(frozen=True, slots=True)
class Latency:
    """From the append on the broker to a read_committed reader; milliseconds."""

    n: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class LabelAgreement:
    """How verdicts compare with the categories that the events file names; counts of chats."""

    n_labelled: int
    n_same_category: int
    banned: dict[str, int]
    """Chats with a label that the policy bans, by decision."""
    safe: dict[str, int]
    """Chats with any other label, by decision."""


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything that a run found out."""

    n_events: int
    n_by_kind: dict[str, int]
    n_verdicts: int
    n_by_category_and_decision: dict[str, dict[str, int]]
    n_by_decision: dict[str, int]
    n_dead_letters: int
    n_by_reason: dict[str, int]
    n_dead_letters_by_kind: dict[str, int]
    """What the dead-lettered records were published as."""
    n_cache_hits: int
    backlog_n_events: int
    backlog_events_per_s: float
    latency: Latency | None
    """Of all paced events; None where there were none."""
    latency_classified: Latency | None
    latency_cached: Latency | None
    labels: LabelAgreement | None
    durations: Durations
    n_missing: int
    n_doubled: int
    n_unknown: int

    @property
    def balanced(self) -> bool:
        """Whether every event ended as exactly one verdict or dead letter."""
        return self.n_events == self.n_answers and not (self.n_missing or self.n_doubled or self.n_unknown)

    @property
    def n_answers(self) -> int:
        """Events that ended as a verdict or a dead letter."""
        return self.n_verdicts + self.n_dead_letters

    def as_json(self) -> dict[str, Any]:
        """Return the numbers for machines."""
        return {"balanced": self.balanced, **asdict(self)}


def summarise(account: DemoAccount, durations: Durations, model: ModelInUse) -> Summary:
    """Compute the summary of a run.

    Args:
        account: With all answers in.
        durations: How long the parts took.
        model: What judged.
    """
    closed = list(account.closed())
    verdicts = [(entry, answer) for entry, answer in closed if isinstance(answer, VerdictSeen)]
    rejected = [(entry, answer) for entry, answer in closed if isinstance(answer, DeadLetterSeen)]
    letters = [answer for _, answer in rejected]
    paced = [(entry, answer) for entry, answer in verdicts if entry.phase is Phase.PACED]
    n_backlog = sum(entry.phase is Phase.BACKLOG for entry, _ in closed)
    problems = account.problems()
    return Summary(
        n_events=account.n_published,
        n_by_kind={kind.value: account.n_of_kind(kind) for kind in Kind},
        n_verdicts=len(verdicts),
        n_by_category_and_decision=_by_category_and_decision((answer for _, answer in verdicts), model),
        n_by_decision=_by_decision(answer for _, answer in verdicts),
        n_dead_letters=len(letters),
        n_by_reason=dict(sorted(Counter(letter.reason.value for letter in letters).items())),
        n_dead_letters_by_kind=dict(sorted(Counter(entry.kind.value for entry, _ in rejected).items())),
        n_cache_hits=sum(answer.cache_hit for _, answer in verdicts),
        backlog_n_events=n_backlog,
        backlog_events_per_s=round(n_backlog / durations.backlog_s, 1) if durations.backlog_s > 0 else 0.0,
        latency=latency_of([answer.latency_ms for entry, answer in closed if entry.phase is Phase.PACED]),
        latency_classified=latency_of([answer.latency_ms for _, answer in paced if not answer.cache_hit]),
        latency_cached=latency_of([answer.latency_ms for _, answer in paced if answer.cache_hit]),
        labels=_label_agreement(verdicts, model),
        durations=durations,
        n_missing=len(problems.missing),
        n_doubled=len(problems.doubled),
        n_unknown=len(problems.unknown),
    )


def latency_of(values_ms: Sequence[float]) -> Latency | None:
    """Return the nearest-rank percentiles; None of nothing."""
    if not values_ms:
        return None
    ordered = sorted(values_ms)

    def percentile(ratio: float) -> float:
        return round(ordered[math.ceil(ratio * len(ordered)) - 1], 1)

    return Latency(n=len(ordered), p50_ms=percentile(0.5), p99_ms=percentile(0.99), max_ms=percentile(1.0))


def _by_category_and_decision(verdicts: Iterable[VerdictSeen], model: ModelInUse) -> dict[str, dict[str, int]]:
    of_category: dict[str, list[VerdictSeen]] = {code: [] for code in model.taxonomy.codes}
    for verdict in verdicts:
        of_category[verdict.category.code].append(verdict)
    return {code: _by_decision(found) for code, found in of_category.items()}


def _by_decision(verdicts: Iterable[VerdictSeen]) -> dict[str, int]:
    counts = Counter(verdict.decision for verdict in verdicts)
    return {decision.value: counts[decision] for decision in Decision}


def _label_agreement(verdicts: Iterable[tuple[Entry, VerdictSeen]], model: ModelInUse) -> LabelAgreement | None:
    """Compare chats with their labels; a repeat would count its chat twice."""
    labelled = [
        (entry.label, verdict)
        for entry, verdict in verdicts
        if entry.label is not None and entry.kind in (Kind.CHAT, Kind.GROWN)
    ]
    if not labelled:
        return None
    return LabelAgreement(
        n_labelled=len(labelled),
        n_same_category=sum(label == verdict.category.code for label, verdict in labelled),
        banned=_by_decision(verdict for label, verdict in labelled if label in model.banned),
        safe=_by_decision(verdict for label, verdict in labelled if label not in model.banned),
    )
