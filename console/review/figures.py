"""What the answers say of people and of the automation. Pure: from judged items to figures.

A reviewer's accuracy is of gold items alone: of all others nobody knows what is right. The automation's precision is of
the sample alone: reviews are what it was unsure of, and their reviewers saw what it said.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Final

from console.review.agreement import agreement_ratio, cohen_kappa, fleiss_kappa
from console.review.intervals import Share, exact_share, weighted_share
from console.review.item import ItemKind

_HOUR_MS: Final = 3_600_000
PAUSE_MS: Final = 300_000
"""A longer time between two answers was a pause, of which so much counts as work."""


@dataclass(frozen=True)
class Said:
    """One answer that counts."""

    reviewer: str
    outcome: str
    category: str | None
    is_final: bool
    at_ms: int
    took_ms: int | None


@dataclass(frozen=True)
class Drawn:
    """A stratum in which a sample was drawn."""

    policy: str
    decision: str
    inclusion: float


@dataclass(frozen=True)
class JudgedItem:
    """An item with its answers, in order."""

    kind: str
    category: str
    """The model's; of a gold item the right one."""
    is_done: bool
    said: tuple[Said, ...]
    drawn: tuple[Drawn, ...] = ()
    gold_decision: str | None = None

    @property
    def opinions(self) -> tuple[Said, ...]:
        """What was said independently: no adjudicator's answer."""
        return tuple(one for one in self.said if not one.is_final)

    @property
    def outcome(self) -> str | None:
        """What settled it."""
        return self.said[-1].outcome if self.is_done and self.said else None


@dataclass(frozen=True)
class Agreement:
    """How far two reviewers or more agree on outcomes."""

    n_items: int
    agreement_ratio: float | None
    kappa: float | None


@dataclass(frozen=True)
class PairAgreement(Agreement):
    """Of two reviewers; Cohen's kappa."""

    reviewers: tuple[str, str]


@dataclass(frozen=True)
class ModelAgreement:
    """How often the category that reviewers named is the model's."""

    n_named: int
    n_same: int
    n_named_blind: int
    n_same_blind: int
    """Of reviewers who did not see it."""


@dataclass(frozen=True)
class ReviewerFigures:
    """Of one reviewer."""

    reviewer: str
    n_answers: int
    items_an_hour: float | None
    """Of the time spent; None of one answer without a time."""
    n_gold: int
    gold_accuracy: Share
    """Share of gold items with the right decision, exact interval at 95 %."""
    n_gold_categories: int
    gold_category_accuracy: Share
    """Of gold items on which they named a category."""


@dataclass(frozen=True)
class Precision:
    """How often an automatic decision is what a person decides."""

    policy: str
    decision: str
    category: str | None
    """None: of all categories, weighted."""
    n_drawn: int
    n_answered: int
    precision: Share


@dataclass(frozen=True)
class Figures:
    """All of them."""

    n_items: int
    agreement: Agreement
    """Of all reviewers; Fleiss' kappa."""
    agreement_by_category: dict[str, Agreement]
    """By the model's category."""
    agreement_by_pair: list[PairAgreement]
    model_by_category: dict[str, ModelAgreement]
    reviewers: list[ReviewerFigures]
    precision: list[Precision]
    """By policy, decision and category."""
    precision_overall: list[Precision]
    """By policy and decision, weighted by inclusion probabilities."""


def figures_of(judged: Sequence[JudgedItem]) -> Figures:
    """Return the figures of items, those without an answer among them: samples count as drawn."""
    real = [item for item in judged if item.kind != ItemKind.GOLD]
    several = [item for item in real if len(item.opinions) > 1]
    by_category: dict[str, list[JudgedItem]] = defaultdict(list)
    for item in several:
        by_category[item.category].append(item)
    return Figures(
        n_items=sum(bool(item.said) for item in judged),
        agreement=_agreement(several),
        agreement_by_category={code: _agreement(of) for code, of in sorted(by_category.items())},
        agreement_by_pair=_pairs(several),
        model_by_category=_with_model(real),
        reviewers=_reviewers(judged),
        precision=_precisions(real),
        precision_overall=_overall(real),
    )


def _agreement(items: Sequence[JudgedItem]) -> Agreement:
    pairs = [pair for item in items for pair in combinations([one.outcome for one in item.opinions], 2)]
    return Agreement(
        len(items), agreement_ratio(pairs), fleiss_kappa([[one.outcome for one in item.opinions] for item in items])
    )


def _pairs(items: Iterable[JudgedItem]) -> list[PairAgreement]:
    common: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for item in items:
        for one, other in combinations(sorted(item.opinions, key=lambda said: said.reviewer), 2):
            common[one.reviewer, other.reviewer].append((one.outcome, other.outcome))
    return [
        PairAgreement(len(said), agreement_ratio(said), cohen_kappa(said), names)
        for names, said in sorted(common.items())
    ]


def _with_model(items: Iterable[JudgedItem]) -> dict[str, ModelAgreement]:
    found: dict[str, list[tuple[bool, bool]]] = defaultdict(list)
    for item in items:
        named = [one.category for one in item.opinions if one.category is not None]
        found[item.category] += [(item.kind == ItemKind.SAMPLE, code == item.category) for code in named]
    return {
        code: ModelAgreement(
            len(of), sum(same for _, same in of), sum(blind for blind, _ in of), sum(b and s for b, s in of)
        )
        for code, of in sorted(found.items())
        if of
    }


def _reviewers(items: Sequence[JudgedItem]) -> list[ReviewerFigures]:
    said: dict[str, list[Said]] = defaultdict(list)
    gold: dict[str, list[tuple[JudgedItem, Said]]] = defaultdict(list)
    for item in items:
        for one in item.said:
            said[one.reviewer].append(one)
            if item.kind == ItemKind.GOLD:
                gold[one.reviewer].append((item, one))
    return [_reviewer(name, said[name], gold[name]) for name in sorted(said)]


def _reviewer(name: str, said: list[Said], gold: list[tuple[JudgedItem, Said]]) -> ReviewerFigures:
    n_right = sum(one.outcome == item.gold_decision for item, one in gold)
    named = [(item.category, one.category) for item, one in gold if one.category is not None]
    n_category_right = sum(right == found for right, found in named)
    return ReviewerFigures(
        reviewer=name,
        n_answers=len(said),
        items_an_hour=items_an_hour(said),
        n_gold=len(gold),
        gold_accuracy=exact_share(n_right, len(gold)),
        n_gold_categories=len(named),
        gold_category_accuracy=exact_share(n_category_right, len(named)),
    )


def items_an_hour(said: Sequence[Said]) -> float | None:
    """Return a reviewer's pace: answers by the time between them, of which pauses count for five minutes."""
    ordered = sorted(said, key=lambda one: one.at_ms)
    if not ordered:
        return None
    spent_ms = min(ordered[0].took_ms or 0, PAUSE_MS)
    spent_ms += sum(min(b.at_ms - a.at_ms, PAUSE_MS) for a, b in pairwise(ordered))
    return len(ordered) * _HOUR_MS / spent_ms if spent_ms else None


def _precisions(items: Iterable[JudgedItem]) -> list[Precision]:
    strata: dict[tuple[str, str, str], list[str | None]] = defaultdict(list)
    for item in items:
        for drawn in item.drawn:
            strata[drawn.policy, drawn.decision, item.category].append(item.outcome)
    found = []
    for (policy, decision, category), outcomes in sorted(strata.items()):
        answered = [outcome for outcome in outcomes if outcome is not None]
        share = exact_share(answered.count(decision), len(answered))
        found.append(Precision(policy, decision, category, len(outcomes), len(answered), share))
    return found


def _overall(items: Iterable[JudgedItem]) -> list[Precision]:
    drawn_in: dict[tuple[str, str], list[tuple[str | None, float]]] = defaultdict(list)
    for item in items:
        for drawn in item.drawn:
            drawn_in[drawn.policy, drawn.decision].append((item.outcome, drawn.inclusion))
    found = []
    for (policy, decision), outcomes in sorted(drawn_in.items()):
        answered = [(outcome == decision, inclusion) for outcome, inclusion in outcomes if outcome is not None]
        share = weighted_share(answered)
        found.append(Precision(policy, decision, None, len(outcomes), len(answered), share))
    return found
