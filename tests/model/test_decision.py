"""The decision table."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bundle.thresholds import calibration_size, fewest_chats, thresholds_for
from model.calibration import RiskCurves, banned_mask, policy_scores
from model.decision import DecisionRule, Judgement
from model.evidence.rule import Unevaluated
from schemas import CHAT_13, DEFAULT_POLICY, DecidedBy, Decision, UncalibratedLanguages

CURVES = RiskCurves(np.linspace(0.2, 1, 99), np.linspace(0, 0.8, 99))
POINTS = thresholds_for(CURVES, DEFAULT_POLICY)
RULE = DecisionRule(DEFAULT_POLICY, CURVES)
BANS_NOTHING = DEFAULT_POLICY.model_copy(update={"banned": frozenset()})
NOT_CALIBRATED = RiskCurves(np.zeros(0), np.zeros(0))


def evidence(score: float) -> dict[str, float]:
    """Return evidence with this score under the default policy."""
    return dict.fromkeys(CHAT_13.codes, 0.0) | {"D": score, "F": 1 - score}


def judge(score: float, category: str = "F", rule: DecisionRule = RULE, *unevaluated: str) -> Judgement:
    """Judge a chat."""
    return rule.judgement(evidence(score), category=category, unevaluated=unevaluated)


@pytest.mark.parametrize(
    ("category", "score", "expected"),
    [
        pytest.param("F", 0.0, Decision.ALLOW, id="surely safe"),
        pytest.param("F", 0.21, Decision.ALLOW, id="risk just within the target"),
        pytest.param("F", 0.5, Decision.REVIEW, id="neither sure"),
        pytest.param("F", 0.9, Decision.BLOCK, id="surely banned, though the top category is safe"),
        pytest.param("D", 0.0, Decision.REVIEW, id="low score, but the top category is banned"),
        pytest.param("D", 0.5, Decision.REVIEW, id="banned category, not sure enough to block"),
        pytest.param("M", 1.0, Decision.BLOCK, id="surely banned"),
    ],
)
def test_the_decision_follows_the_two_risks(category: str, score: float, expected: Decision) -> None:
    """Allow only within the brand-safety target, block only within the revenue target, else let a person look."""
    found = judge(score, category)
    assert found == Judgement(score, CURVES.banned_to_safe_risk(score), expected, DecidedBy.MODEL)


@given(score=st.floats(0, 1))
def test_a_banned_category_is_never_allowed(score: float) -> None:
    """Whatever the score says."""
    assert judge(score, "J").decision is not Decision.ALLOW


@given(one=st.floats(0, 1), other=st.floats(0, 1))
def test_a_higher_score_never_gets_the_milder_decision(one: float, other: float) -> None:
    """Advertisers would rightly ask why."""
    order = [Decision.ALLOW, Decision.REVIEW, Decision.BLOCK]
    low, high = (order.index(judge(score).decision) for score in sorted((one, other)))
    assert low <= high


@given(values=st.lists(st.floats(0, 1), min_size=13, max_size=13))
def test_serving_and_calibration_score_alike(values: list[float]) -> None:
    """One number for one chat, or ties would be broken against the guarantee."""
    row = np.array([round(value, 6) for value in values])
    (expected,) = policy_scores(row[None], banned_mask(CHAT_13.banned, CHAT_13.codes))
    assert RULE.score(dict(zip(CHAT_13.codes, row.tolist(), strict=True))) == expected


def test_the_thresholds_in_the_manifest_are_the_edges_of_the_decisions() -> None:
    """What people read in a bundle must be what the worker does."""
    curves = RiskCurves(CURVES.banned_scores.round(6), CURVES.safe_scores.round(6))
    points, rule = thresholds_for(curves, DEFAULT_POLICY), DecisionRule(DEFAULT_POLICY, curves)
    assert judge(points.allow_up_to, "F", rule).decision is Decision.ALLOW
    assert judge(points.block_from, "F", rule).decision is Decision.BLOCK


def test_a_stricter_policy_allows_less() -> None:
    """An advertiser changes the target, not the model."""
    strict = DEFAULT_POLICY.model_copy(update={"max_banned_to_safe_rate": 0.005})
    assert judge(0.0, "F", replace(RULE, policy=strict)).decision is Decision.REVIEW


@pytest.mark.parametrize("reason", list(Unevaluated))
def test_what_was_not_evaluated_is_not_allowed(reason: Unevaluated) -> None:
    """And what the model blocks stays blocked, in its name."""
    found = judge(0.0, "F", RULE, reason)
    assert (found.decision, found.decided_by) == (Decision.REVIEW, DecidedBy.UNEVALUATED)
    found = judge(1.0, "M", RULE, reason)
    assert (found.decision, found.decided_by) == (Decision.BLOCK, DecidedBy.MODEL)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (UncalibratedLanguages.REVIEW, (Decision.REVIEW, DecidedBy.UNEVALUATED)),
        (UncalibratedLanguages.BLOCK, (Decision.BLOCK, DecidedBy.UNEVALUATED)),
        (UncalibratedLanguages.AS_IS, (Decision.ALLOW, DecidedBy.MODEL)),
    ],
)
def test_a_policy_says_what_becomes_of_other_languages(
    wanted: UncalibratedLanguages, expected: tuple[Decision, DecidedBy]
) -> None:
    """The guarantee does not speak of them."""
    policy = DEFAULT_POLICY.model_copy(update={"uncalibrated_languages": wanted})
    found = judge(0.0, "F", replace(RULE, policy=policy), Unevaluated.LANGUAGE)
    assert (found.decision, found.decided_by) == expected


@pytest.mark.parametrize("reasons", [(), tuple(Unevaluated)])
def test_a_policy_that_bans_nothing_allows_everything(reasons: tuple[Unevaluated, ...]) -> None:
    """There is nothing that a chat could be kept from."""
    found = judge(1.0, "D", replace(RULE, policy=BANS_NOTHING), *reasons)
    assert found == Judgement(0.0, 0.0, Decision.ALLOW, DecidedBy.NOTHING_BANNED)


def test_without_calibration_nothing_is_allowed_by_accident() -> None:
    """Both risks are 1; only where nothing is banned does that not matter."""
    rule = replace(RULE, curves=NOT_CALIBRATED)
    for score in (0.0, 0.5, 1.0):
        assert judge(score, "F", rule) == Judgement(score, 1.0, Decision.REVIEW, DecidedBy.UNEVALUATED)
    found = judge(0.0, "F", replace(rule, policy=BANS_NOTHING))
    assert found == Judgement(0.0, 1.0, Decision.ALLOW, DecidedBy.NOTHING_BANNED)


@pytest.mark.parametrize("rate", [0.5, 0.07, 0.05, 0.02, 0.01, 1 / 3, 0.999])
def test_the_fewest_chats_are_the_fewest_whose_risk_can_be_that_low(rate: float) -> None:
    """One chat less could never be enough."""
    n_chats = fewest_chats(rate)
    scores = np.ones(n_chats)
    assert RiskCurves(scores, scores).banned_to_safe_risk(0) <= rate
    assert n_chats == 0 or RiskCurves(scores[1:], scores).banned_to_safe_risk(0) > rate


def test_too_few_calibration_chats_are_told() -> None:
    """With 16 chats every decision is `review`, and somebody must say why."""
    few = RiskCurves(np.linspace(0, 1, 4), np.linspace(0, 1, 49))
    size = calibration_size(few, DEFAULT_POLICY)
    assert size == (4, 19, 49, 49)
    allow, block = size.sentences()
    assert allow.endswith("there are 4: no chat can get it; calibrate on at least 15 more.")
    assert block.endswith("there are 49.")
    assert calibration_size(few, BANS_NOTHING).sentences() == ["The policy bans nothing: every chat is allowed."]
