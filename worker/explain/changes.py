"""What would have changed a decision: pure.

Each change is found by asking the serving rule itself, with one thing of the verdict put differently: the score, the
evidence of one banned category, the most probable category, or what was not evaluated.

Invariant: where `Change.needed` is a number, the rule gives `Change.decision` there and none that differs from the
verdict's on the way to it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from model.calibration import WIRE_DECIMALS
from model.decision import DecisionRule
from schemas import Decision, Verdict

_UNITS: Final = 10**WIRE_DECIMALS
"""Steps of a score or of evidence, from 0 to 1."""


@dataclass(frozen=True)
class Change:
    """One thing that would have led to another decision."""

    what: str
    """`score`, `evidence`, `category` or `unevaluated`."""
    decision: Decision
    """What it would have been."""
    code: str | None = None
    """Of `evidence` the category; of `category` the one in the place of the verdict's."""
    found: float | None = None
    needed: float | None = None
    """The nearest value that changes the decision."""
    reasons: tuple[str, ...] = ()
    """Of `unevaluated`: what would have had to be evaluated."""


class Borders(NamedTuple):
    """The scores at which a policy's decision changes, where the category is not banned and all was evaluated."""

    allow_up_to: float | None
    """The largest score that is allowed; None where none is."""
    block_from: float | None
    """The smallest score that is blocked; None where none is."""


def borders_of(rule: DecisionRule) -> Borders:
    """Return a policy's borders over a bundle, to the last decimal that its calibration has."""
    cut = rule.thresholds
    allow = None if cut.allow_below == 0 else min(1.0, (cut.allow_below - 1) / cut.units)
    return Borders(allow, None if cut.block_from > cut.units else cut.block_from / cut.units)


def decision_of(verdict: Verdict, rule: DecisionRule) -> Decision:
    """Return what the rule alone says of a verdict's evidence."""
    return _decided(rule, verdict, verdict.evidence)


def changes_of(verdict: Verdict, rule: DecisionRule) -> tuple[Change, ...]:
    """Return what would have changed the decision, the score first, then banned categories by evidence.

    Args:
        verdict: Its decision is what the rule says of it.
        rule: Policy and curves by which it was decided.
    """
    if not rule.policy.counted:
        return ()
    return (
        *_by_score(verdict, rule),
        *_by_evidence(verdict, rule),
        *_by_category(verdict, rule),
        *_by_evaluation(verdict, rule),
    )


def _decided(
    rule: DecisionRule,
    verdict: Verdict,
    evidence: Mapping[str, float],
    *,
    category: str | None = None,
    unevaluated: tuple[str, ...] | None = None,
) -> Decision:
    return rule.judgement(
        evidence,
        category=verdict.category.code if category is None else category,
        unevaluated=verdict.unevaluated if unevaluated is None else unevaluated,
        language=verdict.language,
        longest_message=verdict.longest_message,
        at=verdict.decided_at,
    ).decision


def _by_score(verdict: Verdict, rule: DecisionRule) -> Iterator[Change]:
    first, *others = sorted(rule.policy.counted)

    def decided_at(value: float) -> Decision:
        return _decided(rule, verdict, {first: value, **dict.fromkeys(others, 0.0)})

    for needed, decision in _crossings(decided_at, rule.score(verdict.evidence), verdict.decision):
        yield Change("score", decision, found=rule.score(verdict.evidence), needed=needed)


def _by_evidence(verdict: Verdict, rule: DecisionRule) -> Iterator[Change]:
    for code in sorted(rule.policy.counted, key=lambda code: (-verdict.evidence[code], code)):

        def decided_at(value: float, code: str = code) -> Decision:
            return _decided(rule, verdict, {**verdict.evidence, code: value})

        found = verdict.evidence[code]
        for needed, decision in _crossings(decided_at, found, verdict.decision):
            yield Change("evidence", decision, code=code, found=found, needed=needed)


def _by_category(verdict: Verdict, rule: DecisionRule) -> Iterator[Change]:
    """Look at the category on the other side of the ban that is the most probable there."""
    is_banned = verdict.category.code in rule.policy.counted
    others = [code for code in verdict.probabilities if (code in rule.policy.counted) is not is_banned]
    other = max(others, key=lambda code: verdict.probabilities[code])
    decision = _decided(rule, verdict, verdict.evidence, category=other)
    if decision is not verdict.decision:
        yield Change("category", decision, code=other)


def _by_evaluation(verdict: Verdict, rule: DecisionRule) -> Iterator[Change]:
    decision = _decided(rule, verdict, verdict.evidence, unevaluated=())
    if decision is not verdict.decision:
        yield Change("unevaluated", decision, reasons=verdict.unevaluated)


def _crossings(
    decided_at: Callable[[float], Decision], found: float, decision: Decision
) -> Iterator[tuple[float, Decision]]:
    """Yield the nearest value below and above at which the decision is another one.

    More evidence never makes a decision milder, so each side has one border at most, and halving finds it.
    """
    at = round(found * _UNITS)
    if decided_at(at / _UNITS) is not decision:
        # Calibration with fewer decimals than verdicts: what a sum gives then depends on what it is the sum of.
        return
    for end in (0, _UNITS):
        if decided_at(end / _UNITS) is decision:
            continue
        same, other = at, end
        while abs(other - same) > 1:
            middle = (same + other) // 2
            if decided_at(middle / _UNITS) is decision:
                same = middle
            else:
                other = middle
        yield other / _UNITS, decided_at(other / _UNITS)
