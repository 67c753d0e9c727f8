"""Many policies decide as each would alone, behind one floor, and what all verdicts share is made once."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest

from model.decision import SEVERITY, DecisionRule
from model.policies.context import EVERY_POLICY, NO_CONTEXT, DecisionContext
from model.policies.policy_set import PolicySet
from model.policies.precedence import settled
from schemas import DecidedBy, Decision, Enforcement, SharedDecisions, policies_digest
from tests.model.policies.rules import CODES, by_code, rule, some_evidence

ALLOW, REVIEW, BLOCK = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK
NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
FLOOR = rule(name="floor", banned=["M"], max_banned_to_safe_rate=0.1, max_safe_to_banned_rate=0.01)
NOTHING_BANNED: Final[dict[str, Any]] = {"banned": [], "enforcement": {}}


def _rules() -> list[DecisionRule]:
    fields: list[dict[str, Any]] = [
        {},
        {"enforcement": {"D": "should"}},
        {"enforcement": {"D": "should", "J": "may"}, "requested_by": "a"},
        {"enforcement": {"D": "may", "J": "may", "M": "should"}},
        {"banned": ["A", "F"], "max_banned_to_safe_rate": 0.2},
        {"banned": ["M"], "max_safe_to_banned_rate": 0.3},
        {"languages": ["en"], "requested_by": "b"},
        {"max_message_characters": 100},
        {"max_message_characters": 200, "unevaluated": "block"},
        {"unevaluated": "as_is", "uncalibrated_languages": "block"},
        {"valid_until": NOON},
        {"valid_from": NOON, "requested_by": "c"},
        NOTHING_BANNED,
        {**NOTHING_BANNED, "languages": ["de"]},
    ]
    return [rule(name=f"p{i}", **found) for i, found in enumerate(fields)]


def _facts() -> list[dict[str, Any]]:
    reasons = ((), ("length",), ("language",), ("failure", "language"))
    return [
        {
            "unevaluated": reasons[i % 4],
            "language": (None, "en", "fr")[i % 3],
            "longest_message": (None, 0, 100, 101, 201)[i % 5],
        }
        for i in range(60)
    ]


@pytest.mark.parametrize("context", [NO_CONTEXT, DecisionContext(said={"p3": ALLOW}, held=frozenset({"p0", "p4"}))])
def test_a_set_decides_as_each_policy_would_alone(context: DecisionContext) -> None:
    """The fast way through all of them gives what the rule of one gives."""
    policies = PolicySet(_rules(), FLOOR)
    for row, facts, hour in zip(some_evidence(1_200), _facts() * 20, [-1, 0, 1] * 400, strict=True):
        evidence, at = by_code(row), NOON + timedelta(hours=hour)
        category = max(evidence, key=evidence.__getitem__)
        decided = policies.decide(evidence, category=category, at=at, context=context, **facts)
        floor = FLOOR.judgement(evidence, category=category).decision
        for one in policies.rules:
            alone = one.judgement(evidence, category=category, **facts)
            word = settled(alone, one.policy.name, context, floor, is_in_force=one.is_in_force(at))
            found = decided.decisions[one.policy.name]
            assert (found.decision, found.decided_by, found.version) == (*word, one.policy.version)
        first = decided.decisions["p0"]
        assert (decided.judgement.decision, decided.judgement.decided_by) == (first.decision, first.decided_by)
        assert decided.judgement.banned_probability == policies.default.score(evidence)


def test_the_floor_stands_before_a_policy_that_bans_nothing() -> None:
    """No advertiser can buy M."""
    policies = PolicySet([rule(name="p", **NOTHING_BANNED)], FLOOR)
    zeros = dict.fromkeys(CODES, 0.0)
    found = policies.decide({**zeros, "M": 1.0}, category="M", context=DecisionContext(said={EVERY_POLICY: ALLOW}))
    assert (found.judgement.decision, found.judgement.decided_by) == (BLOCK, DecidedBy.FLOOR)
    in_doubt = policies.decide({**zeros, "M": 0.3, "F": 0.2}, category="M")
    assert (in_doubt.judgement.decision, in_doubt.judgement.decided_by) == (REVIEW, DecidedBy.FLOOR)
    answered = policies.decide({**zeros, "M": 0.3}, category="M", context=DecisionContext(said={EVERY_POLICY: ALLOW}))
    assert answered.judgement.decided_by is DecidedBy.OVERRIDE
    safe = policies.decide({**zeros, "F": 1.0}, category="F")
    assert (safe.judgement.decision, safe.judgement.decided_by) == (ALLOW, DecidedBy.NOTHING_BANNED)


def test_no_override_lifts_the_end_of_a_policy() -> None:
    """The advertiser's contract is over."""
    policies = PolicySet([rule(name="p", valid_until=NOON)])
    said = DecisionContext(said={EVERY_POLICY: ALLOW}, is_allowed=True)
    safe = {**dict.fromkeys(CODES, 0.0), "F": 1.0}
    found = policies.decide(safe, category="F", at=NOON, context=said).judgement
    assert (found.decision, found.decided_by) == (BLOCK, DecidedBy.ADVERTISER)


def test_the_digest_covers_the_floor_and_what_is_in_force() -> None:
    """Else a reader who drops repeats by id would drop the block at the end of a campaign."""
    rules = [rule(name="p"), rule(name="q", valid_from=NOON, valid_until=NOON + timedelta(days=1))]
    with_floor, without = PolicySet(rules, FLOOR), PolicySet(rules)
    assert with_floor.digest == policies_digest([one.policy for one in (*rules, FLOOR)]) != without.digest
    at = [with_floor.digest_at(NOON + timedelta(hours=hours)) for hours in (-1, 0, 23, 24)]
    assert (at[1], at[2]) == (with_floor.digest, with_floor.digest)
    assert at[0] == at[3] != with_floor.digest
    assert (with_floor.is_time_bound, PolicySet(rules[:1]).is_time_bound) == (True, False)


def test_verdicts_that_say_the_same_share_their_decisions() -> None:
    """Making and writing them is most of what many policies cost."""
    policies = PolicySet(_rules())
    safe = {**dict.fromkeys(CODES, 0.0), "F": 1.0}
    one, other = (policies.decide(safe, category="F").decisions for _ in range(2))
    assert isinstance(one, SharedDecisions)
    assert one is other
    assert list(one) == [f"p{i}" for i in range(len(policies.rules))]


def test_limits_never_make_a_decision_milder() -> None:
    """Whatever is known of a chat."""
    policies = PolicySet(_rules())
    for row, facts in zip(some_evidence(60, seed=7), _facts(), strict=True):
        evidence = by_code(row)
        known = policies.decide(evidence, category="F", longest_message=0).decisions
        limited = policies.decide(evidence, category="F", **facts).decisions
        assert all(SEVERITY[limited[name].decision] >= SEVERITY[known[name].decision] for name in known)


def test_should_codes_are_named_by_the_policy() -> None:
    """Must and should are apart, and may counts nowhere."""
    one = rule(enforcement={"D": Enforcement.SHOULD, "J": Enforcement.MAY}).policy
    assert [one.must, one.should, one.counted] == [frozenset("M"), frozenset("D"), frozenset("DM")]
