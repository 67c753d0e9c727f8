"""What each field of a policy does to its decision."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from model.calibration import RiskCurves
from model.decision import DecisionRule
from model.evidence.rule import Unevaluated
from schemas import DecidedBy, Decision, Enforcement
from tests.model.policies.rules import CODES, by_code, curves, policy, rule, some_evidence

ALLOW, REVIEW, BLOCK = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SAFE = {**dict.fromkeys(CODES, 0.0), "F": 1.0}


def surely(code: str) -> dict[str, float]:
    """Return evidence that speaks for one category alone."""
    return {**dict.fromkeys(CODES, 0.0), code: 1.0}


@pytest.mark.parametrize(
    ("firmness", "expected"),
    [(Enforcement.MUST, BLOCK), (Enforcement.SHOULD, REVIEW), (Enforcement.MAY, ALLOW)],
)
def test_a_category_is_blocked_held_back_or_only_named(firmness: Enforcement, expected: Decision) -> None:
    """AdCP's words: must not, should not, may."""
    found = rule(enforcement={"D": firmness}).judgement(surely("D"), category="D")
    assert found.decision is expected
    assert found.banned_probability == (0.0 if firmness is Enforcement.MAY else 1.0)


def test_what_should_not_be_there_adds_to_the_score_and_never_blocks() -> None:
    """Neither alone nor with a little of what must not be there."""
    found = rule(enforcement={"D": Enforcement.SHOULD, "J": Enforcement.SHOULD})
    mixed = {**dict.fromkeys(CODES, 0.0), "D": 0.6, "J": 0.39, "M": 0.01}
    judged = found.judgement(mixed, category="F")
    assert (judged.banned_probability, judged.decision) == (1.0, REVIEW)
    assert found.judgement({**mixed, "M": 1.0}, category="F").decision is BLOCK


@pytest.mark.parametrize("banned", [frozenset(), frozenset("DJ")])
def test_a_policy_with_nothing_but_may_allows(banned: frozenset[str]) -> None:
    """It is as one that bans nothing."""
    loose = policy(banned=banned, enforcement=dict.fromkeys(banned, Enforcement.MAY))
    found = DecisionRule(loose, curves(frozenset())).judgement(surely("D"), category="D", unevaluated=["length"])
    assert (found.decision, found.decided_by, found.banned_probability) == (ALLOW, DecidedBy.NOTHING_BANNED, 0.0)


def test_curves_of_the_firmly_banned_cannot_be_left_out() -> None:
    """The block promise would be held for the wrong chats."""
    soft = policy(enforcement={"D": Enforcement.SHOULD})
    with pytest.raises(ValueError, match=r"bans \['D'\] less firmly"):
        DecisionRule(soft, curves(soft.counted))


@pytest.mark.parametrize(
    ("fields", "facts", "expected"),
    [
        ({}, {}, (ALLOW, DecidedBy.MODEL)),
        ({"requested_by": "x"}, {}, (ALLOW, DecidedBy.ADVERTISER)),
        ({"languages": ["en", "de"]}, {"language": "de"}, (ALLOW, DecidedBy.MODEL)),
        ({"languages": ["en", "de"]}, {"language": None}, (ALLOW, DecidedBy.MODEL)),
        ({"languages": ["en", "de"]}, {"language": "fr"}, (REVIEW, DecidedBy.MODEL)),
        ({"languages": ["en"], "requested_by": "x"}, {"language": "fr"}, (REVIEW, DecidedBy.ADVERTISER)),
        ({"max_message_characters": 9}, {"longest_message": 9}, (ALLOW, DecidedBy.MODEL)),
        ({"max_message_characters": 9}, {"longest_message": 10}, (REVIEW, DecidedBy.MODEL)),
        ({"max_message_characters": 9}, {"longest_message": None}, (REVIEW, DecidedBy.MODEL)),
        ({}, {"unevaluated": [Unevaluated.LENGTH]}, (REVIEW, DecidedBy.UNEVALUATED)),
        ({"unevaluated": "block"}, {"unevaluated": [Unevaluated.LENGTH]}, (BLOCK, DecidedBy.UNEVALUATED)),
        ({"unevaluated": "as_is"}, {"unevaluated": [Unevaluated.FAILURE]}, (ALLOW, DecidedBy.MODEL)),
        ({"unevaluated": "as_is"}, {"unevaluated": [Unevaluated.LANGUAGE]}, (REVIEW, DecidedBy.UNEVALUATED)),
        ({"unevaluated": "block"}, {"unevaluated": [Unevaluated.LANGUAGE]}, (REVIEW, DecidedBy.UNEVALUATED)),
        ({"uncalibrated_languages": "block"}, {"unevaluated": ["language", "length"]}, (BLOCK, DecidedBy.UNEVALUATED)),
        (
            {"languages": ["en"], "requested_by": "x"},
            {"language": "fr", "unevaluated": ["length"]},
            (REVIEW, DecidedBy.UNEVALUATED),
        ),
    ],
)
def test_what_a_policy_asks_for_besides_takes_allow_away(
    fields: dict[str, Any], facts: dict[str, Any], expected: tuple[Decision, DecidedBy]
) -> None:
    """And names what it rests on; what was not evaluated comes before the policy's own wishes."""
    facts = {"longest_message": 0, **facts}
    found = rule(**fields).judgement(SAFE, category="F", **facts)
    assert (found.decision, found.decided_by) == expected


def test_what_is_blocked_anyway_stays_with_what_blocked_it() -> None:
    """A limit only takes `allow` away, or makes `review` a block."""
    found = rule(languages=["en"], requested_by="x").judgement(surely("M"), category="M", language="fr")
    assert (found.decision, found.decided_by) == (BLOCK, DecidedBy.ADVERTISER)


@pytest.mark.parametrize(("offset_s", "is_in_force"), [(-1, False), (0, True), (3_599, True), (3_600, False)])
def test_outside_its_time_a_policy_blocks(offset_s: int, is_in_force: bool) -> None:
    """A campaign that is over stands beside no chat."""
    bound = rule(valid_from=NOON, valid_until=NOON + timedelta(hours=1))
    found = bound.judgement(SAFE, category="F", at=NOON + timedelta(seconds=offset_s))
    assert (found.decision, found.decided_by) == (
        (ALLOW, DecidedBy.MODEL) if is_in_force else (BLOCK, DecidedBy.ADVERTISER)
    )


def test_an_uncalibrated_bundle_leaves_review_whoever_asked_for_the_policy() -> None:
    """No decision treats it as safe."""
    nothing = RiskCurves(np.zeros(0), np.zeros(0))
    found = DecisionRule(policy(requested_by="x", unevaluated="as_is"), nothing).judgement(SAFE, category="F")
    assert (found.decision, found.decided_by, found.banned_to_safe_risk) == (REVIEW, DecidedBy.UNEVALUATED, 1.0)


def test_the_allow_promise_is_held_for_what_must_and_should_not_be_there() -> None:
    """On the calibration chats themselves the shares are within the rates."""
    both = rule(enforcement={"D": Enforcement.SHOULD})
    evidence = some_evidence(3_000, (i % len(CODES) for i in range(3_000)), seed=9)
    banned = [by_code(row) for i, row in enumerate(evidence) if CODES[i % len(CODES)] in both.policy.counted]
    allowed = [both.judgement(row, category="F").decision is ALLOW for row in banned]
    assert sum(allowed) / len(allowed) <= both.policy.max_banned_to_safe_rate * 1.5
