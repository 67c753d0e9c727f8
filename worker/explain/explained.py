"""A verdict with what explains it. Pure but for the bundles that are read once."""

from dataclasses import dataclass

from schemas import DecidedBy, Decision, Verdict
from schemas.verdict_v1 import VERDICT_V1_SCHEMA_VERSION
from worker.explain.changes import Change, changes_of, decision_of
from worker.explain.judges import Judge, Judges, JudgeUnknown


@dataclass(frozen=True)
class Explained:
    """Why a verdict is as it is."""

    verdict: Verdict
    judge: Judge | None
    """None where bundle or policy are not at hand."""
    unknown: str | None = None
    """Why thresholds or changes are not given; None where they are."""
    recomputed: Decision | None = None
    """What the policy says of the evidence; None where that is not known."""
    changes: tuple[Change, ...] = ()
    """Only where the decision follows from the evidence."""


def explained(verdict: Verdict, judges: Judges) -> Explained:
    """Explain one verdict."""
    try:
        judge = judges.of(verdict)
    except JudgeUnknown as unknown:
        return Explained(verdict, None, str(unknown))
    if verdict.schema_version == VERDICT_V1_SCHEMA_VERSION:
        return Explained(verdict, judge, "a verdict of version 1 does not hold all of its evidence")
    if verdict.evidence.keys() != set(judge.taxonomy.codes):
        return Explained(verdict, judge, "its evidence is over other categories than the bundle's")
    recomputed = decision_of(verdict, judge.rule)
    if verdict.decided_by in {DecidedBy.OVERRIDE, DecidedBy.DENY_LIST}:
        # Whatever the evidence were, the decision would be the same.
        return Explained(verdict, judge, _why_another(verdict, recomputed), recomputed)
    if recomputed is not verdict.decision or verdict.decided_by is DecidedBy.FLOOR:
        return Explained(verdict, judge, _why_another(verdict, recomputed), recomputed)
    return Explained(verdict, judge, None, recomputed, changes_of(verdict, judge.rule))


def _why_another(verdict: Verdict, recomputed: Decision) -> str:
    alone = f"the evidence alone gives {recomputed.value} under this policy"
    if verdict.decided_by in {DecidedBy.MODEL, DecidedBy.UNEVALUATED, DecidedBy.NOTHING_BANNED}:
        return f"{alone}: it is not the policy that decided, though name and version are the same"
    return f"{alone}; decided by {verdict.decided_by.value}"
