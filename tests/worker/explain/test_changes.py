"""What would have changed a decision: each change is true by the rule that serves, and the nearest one."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import Bundle, DecisionRule
from schemas import CHAT_13, Decision
from tests.worker.explain.records import judged
from worker.explain.changes import Change, borders_of, changes_of, decision_of

STEP = 1e-6
SHARES = st.integers(0, 1_000_000).map(lambda units: units / 1_000_000)


def of_kind(changes: tuple[Change, ...], what: str) -> list[Change]:
    """Return the changes of one kind."""
    return [change for change in changes if change.what == what]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(evidence=st.fixed_dictionaries(dict.fromkeys("DJMF", SHARES)))
def test_a_change_of_evidence_is_true_and_the_nearest(
    bundle: Bundle, rule: DecisionRule, evidence: dict[str, float]
) -> None:
    """An answer such as "review from .4 on" is looked up in meetings; a step before it nothing may change."""
    verdict = judged(bundle, evidence)
    found = of_kind(changes_of(verdict, rule), "evidence")
    for change in found:
        assert change.code is not None
        assert change.needed is not None
        assert change.found == verdict.evidence[change.code]

        def decided(value: float, code: str = change.code) -> Decision:
            moved = {**verdict.evidence, code: round(value, 6)}
            return rule.judgement(moved, category=verdict.category.code, unevaluated=verdict.unevaluated).decision

        back = STEP if change.needed < change.found else -STEP
        assert decided(change.needed) is change.decision is not verdict.decision
        assert decided(change.needed + back) is verdict.decision
    named = {change.code for change in found}
    for code in bundle.default_policy.banned - named:
        ends = [{**verdict.evidence, code: end} for end in (0.0, 1.0)]
        said = {rule.judgement(end, category=verdict.category.code, unevaluated=()).decision for end in ends}
        assert said == {verdict.decision}


def test_the_score_that_was_missing_lies_between_the_policys_operating_points(
    bundle: Bundle, rule: DecisionRule
) -> None:
    """A reviewed chat has two borders."""
    verdict = judged(bundle, {"J": 0.5, "F": 0.5}, category="F")
    assert verdict.decision is Decision.REVIEW
    milder, stricter = of_kind(changes_of(verdict, rule), "score")
    assert (milder.decision, stricter.decision) == (Decision.ALLOW, Decision.BLOCK)
    assert milder.needed is not None
    assert stricter.needed is not None
    assert milder.needed < 0.5 < stricter.needed
    assert rule.curves.banned_to_safe_risk(milder.needed) <= rule.policy.max_banned_to_safe_rate
    assert rule.curves.banned_to_safe_risk(round(milder.needed + STEP, 6)) > rule.policy.max_banned_to_safe_rate


def test_borders_are_where_the_rule_turns(bundle: Bundle, rule: DecisionRule) -> None:
    """Beside the changes they must be the same numbers, not those of the nearest calibration chat."""
    allow, block = borders_of(rule)
    assert allow is not None
    assert block is not None

    def decided(score: float) -> Decision:
        return rule.judgement({"D": 0.0, "J": round(score, 6), "M": 0.0}, category="F").decision

    assert [decided(allow), decided(allow + STEP)] == [Decision.ALLOW, Decision.REVIEW]
    assert [decided(block), decided(block - STEP)] == [Decision.BLOCK, Decision.REVIEW]
    milder, stricter = of_kind(changes_of(judged(bundle, {"J": 0.5, "F": 0.5}, category="F"), rule), "score")
    assert (milder.needed, stricter.needed) == (allow, block)


@pytest.mark.parametrize(
    ("fields", "borders"),
    [
        ({"banned": frozenset()}, (1.0, None)),
        ({"max_banned_to_safe_rate": 0.0001, "max_safe_to_banned_rate": 0.0001}, (None, None)),
    ],
)
def test_a_policy_may_have_no_border(bundle: Bundle, fields: dict[str, object], borders: tuple[object, object]) -> None:
    """It bans nothing, or promises more than the calibration chats can show."""
    policy = bundle.default_policy.model_copy(update=fields)
    found = borders_of(DecisionRule(policy, bundle.risk_curves(policy)))
    assert found == borders


def test_a_banned_category_and_what_was_not_evaluated_are_named(bundle: Bundle, rule: DecisionRule) -> None:
    """No evidence could have made these chats `allow`."""
    banned = judged(bundle, {"J": 0.2, "F": 0.1})
    assert banned.decision is Decision.REVIEW
    (change,) = of_kind(changes_of(banned, rule), "category")
    assert (change.code, change.decision) == ("F", Decision.ALLOW)
    foreign = judged(bundle, {"F": 0.9}, unevaluated=("language",))
    (change,) = of_kind(changes_of(foreign, rule), "unevaluated")
    assert (change.reasons, change.decision) == (("language",), Decision.ALLOW)


def test_a_policy_that_bans_nothing_has_nothing_that_would_change_it(bundle: Bundle) -> None:
    """Its rule sums over no category."""
    policy = bundle.default_policy.model_copy(update={"banned": frozenset()})
    rule = DecisionRule(policy, bundle.risk_curves(policy))
    verdict = judged(bundle, {"J": 0.9})
    assert decision_of(verdict, rule) is Decision.ALLOW
    assert changes_of(verdict, rule) == ()
    assert set(verdict.evidence) == set(CHAT_13.codes)
