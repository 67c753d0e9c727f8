"""What another policy would have decided on verdicts that were given. Pure, in memory that does not grow with them.

Every verdict is decided anew from its evidence, under the new policy and, where one is named, under the old one; else
what the verdict says counts as the old decision. What people, lists and holds decided no policy changes: such verdicts
are set aside and counted. Policies are tried as if they were in force: a new one is often valid from tomorrow on.
"""

from collections import Counter
from math import nextafter
from typing import Final, NamedTuple

import numpy as np

from model.bundle.bundle import Bundle
from model.calibration import ScoreArray
from model.decision import Judgement
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from schemas import Decision, Policy, PolicyDecision, Verdict
from schemas.verdict import IN_PLACE_OF_A_POLICY, VERDICT_SCHEMA_VERSION

_ANY_RATE: Final = nextafter(1.0, 0.0)
"""The largest rate that a policy can accept."""


class Said(NamedTuple):
    """What one policy says of one verdict."""

    decision: Decision
    risk: float | None
    """The banned-to-safe risk; None where the verdict does not tell that of this policy."""
    allowed_from: float | None = None
    """The accepted rate from which on the policy allows it; None where none would do, or that is not asked."""


class Case(NamedTuple):
    """One verdict, decided twice; or why it is not."""

    chat_id: str
    set_aside: str | None
    """`other_bundle`, `version_1`, `deny_list`, `override` or `hold`; None where both sides are known."""
    old: Said | None = None
    new: Said | None = None


class Side:
    """A policy over a bundle, at its own rate and at any.

    Args:
        bundle: Over which it decides.
        policy: The policy.
        floor: Codes that no policy may allow, besides the taxonomy's.

    Raises:
        BundleError: the policy is over another taxonomy, or the bundle's calibration cannot speak for it.
    """

    def __init__(self, bundle: Bundle, policy: Policy, floor: frozenset[str] = frozenset()) -> None:
        self.policy = policy
        self.at_its_rate = policies_over(bundle, [policy], floor=floor)
        at_any_rate = policy.model_copy(update={"max_banned_to_safe_rate": _ANY_RATE})
        self.at_any_rate = policies_over(bundle, [at_any_rate], floor=floor)

    def of(self, verdict: Verdict) -> Said:
        """Return what the policy says of a verdict of this bundle."""
        judgement = _judged(self.at_its_rate, verdict)
        risk = judgement.banned_to_safe_risk
        is_allowed = judgement.decision is Decision.ALLOW
        could_be = is_allowed or _judged(self.at_any_rate, verdict).decision is Decision.ALLOW
        return Said(judgement.decision, risk, risk if could_be else None)


def _judged(policies: PolicySet, verdict: Verdict) -> Judgement:
    return policies.decide(
        verdict.evidence,
        category=verdict.category.code,
        unevaluated=verdict.unevaluated,
        language=verdict.language,
        longest_message=verdict.longest_message,
    ).judgement


class Simulation:
    """Decides verdicts twice.

    Args:
        bundle: Whose verdicts are decided.
        new: The policy that is tried.
        against: The policy that it is compared with; None: what the verdicts say, under the new one's name or, where
            they do not have it, of their default policy.
        floor: Codes that no policy may allow, besides the taxonomy's.

    Raises:
        BundleError: a policy is over another taxonomy, or the bundle's calibration cannot speak for it.
    """

    def __init__(
        self, bundle: Bundle, new: Policy, against: Policy | None = None, floor: frozenset[str] = frozenset()
    ) -> None:
        self.new = Side(bundle, new, floor)
        self.against = None if against is None else Side(bundle, against, floor)
        self._digest = bundle.digest

    def case(self, verdict: Verdict) -> Case:
        """Decide one verdict twice."""
        said = verdict.decisions.get(self.new.policy.name)
        if (why := self._set_aside(verdict, said)) is not None:
            return Case(verdict.chat_id, why)
        old = self._said(verdict, said) if self.against is None else self.against.of(verdict)
        return Case(verdict.chat_id, None, old, self.new.of(verdict))

    def _set_aside(self, verdict: Verdict, said: PolicyDecision | None) -> str | None:
        if verdict.schema_version != VERDICT_SCHEMA_VERSION:
            return "version_1"
        if verdict.model.digest != self._digest:
            return "other_bundle"
        decided_by = verdict.decided_by if said is None else said.decided_by
        return decided_by.value if decided_by in IN_PLACE_OF_A_POLICY else None

    def _said(self, verdict: Verdict, said: PolicyDecision | None) -> Said:
        if said is None:
            return Said(verdict.decision, verdict.banned_to_safe_risk)
        is_default = self.new.policy.name == verdict.policy.name
        return Said(said.decision, verdict.banned_to_safe_risk if is_default else None)


class Curve:
    """The share of verdicts that a policy would allow, by the banned-to-safe rate that it accepts."""

    def __init__(self) -> None:
        # A risk is one of as many values as there are banned calibration chats.
        self._n_by_risk: Counter[float] = Counter()
        self._n = 0

    def add(self, said: Said) -> None:
        """Count a verdict."""
        self._n += 1
        if said.allowed_from is not None:
            self._n_by_risk[said.allowed_from] += 1

    def add_many(self, allowed_from: ScoreArray) -> None:
        """Count verdicts by the rate from which on each is allowed; NaN where none would do."""
        self._n += len(allowed_from)
        risks, counts = np.unique(allowed_from[~np.isnan(allowed_from)], return_counts=True)
        self._n_by_risk.update(dict(zip(risks.tolist(), counts.tolist(), strict=True)))

    def points(self, most: int = 200) -> list[tuple[float, float]]:
        """Return (accepted rate, allowed share), ascending, thinned to about so many; the last one always."""
        reached, points = 0, []
        for risk in sorted(self._n_by_risk):
            reached += self._n_by_risk[risk]
            points.append((risk, reached / self._n))
        step = max(1, len(points) // most)
        return points[:-1:step] + points[-1:]
