"""What another policy would have decided: cases, counts, risks, samples and the curve."""

from collections import Counter
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from model import Bundle
from model.policies.context import NO_CONTEXT, DecisionContext
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from model.policies.simulate import Case, Curve, Said, Side, Simulation
from model.policies.simulated import Account, ChatSample
from schemas import DEFAULT_POLICY, Decision, Policy, Verdict
from tests.policy_cases import NOW, Read, some_readings, twenty_policies

ALLOW, REVIEW, BLOCK = Decision
STRICT = DEFAULT_POLICY.model_copy(update={"name": "strict", "max_banned_to_safe_rate": 0.005})
SAFE = dict.fromkeys("ABCDEFGHIJKLM", 0.0) | {"F": 1.0}
PLAIN = Read(SAFE, "F", (), "en", 10, NOW, NO_CONTEXT)


@pytest.fixture(scope="module")
def policies(bundle: Bundle) -> PolicySet:
    """Return the default policy alone."""
    return policies_over(bundle, [DEFAULT_POLICY])


@pytest.fixture(scope="module")
def verdicts(bundle: Bundle, policies: PolicySet) -> list[Verdict]:
    """Return verdicts under the default policy, without a context."""
    some = policies_over(bundle, twenty_policies())
    readings = [read._replace(context=NO_CONTEXT) for read in some_readings(bundle, some, 150)]
    return [read.verdict(bundle, policies, chat_id=f"chat-{i}") for i, read in enumerate(readings)]


def test_both_sides_are_what_their_policies_decide(bundle: Bundle, verdicts: list[Verdict]) -> None:
    """Against what verdicts say or against a policy file: the same, where that policy decided."""
    by_verdict, by_policy = Simulation(bundle, STRICT), Simulation(bundle, STRICT, DEFAULT_POLICY)
    strict = policies_over(bundle, [STRICT])
    for verdict in verdicts:
        case, other = by_verdict.case(verdict), by_policy.case(verdict)
        assert case.old is not None
        assert other.old is not None
        assert case.new == other.new is not None
        assert case.old[:2] == other.old[:2] == (verdict.decision, verdict.banned_to_safe_risk)
        expected = strict.decide(
            verdict.evidence,
            category=verdict.category.code,
            unevaluated=verdict.unevaluated,
            language=verdict.language,
            longest_message=verdict.longest_message,
        ).judgement
        assert case.new is not None
        assert case.new[:2] == (expected.decision, expected.banned_to_safe_risk)


def test_a_policy_that_the_verdicts_name_is_compared_with_its_own_decisions(bundle: Bundle) -> None:
    """And with the default policy's where they do not have it. Their risk is the default policy's alone."""
    both = policies_over(bundle, [DEFAULT_POLICY, STRICT.model_copy(update={"banned": frozenset("F")})])
    verdict = PLAIN.verdict(bundle, both)
    case = Simulation(bundle, STRICT).case(verdict)
    assert case.old == Said(BLOCK, None)
    assert verdict.decision is ALLOW
    renamed = STRICT.model_copy(update={"name": "new"})
    assert Simulation(bundle, renamed).case(verdict).old == Said(ALLOW, verdict.banned_to_safe_risk)


@pytest.mark.parametrize(
    ("context", "fields", "reason"),
    [
        (DecisionContext(is_denied=True), {}, "deny_list"),
        (DecisionContext(said={"*": ALLOW}, override_revision=1), {}, "override"),
        (DecisionContext(held=frozenset({"default"})), {}, "hold"),
        (NO_CONTEXT, {"schema_version": 1}, "version_1"),
        (NO_CONTEXT, {"model": "other"}, "other_bundle"),
    ],
)
def test_what_no_policy_decided_is_set_aside(
    bundle: Bundle, policies: PolicySet, context: DecisionContext, fields: dict[str, Any], reason: str
) -> None:
    """No policy would change it; and the curves of another bundle say nothing of it."""
    verdict = PLAIN._replace(context=context).verdict(bundle, policies)
    if "model" in fields:
        fields = {"model": verdict.model.model_copy(update={"digest": f"sha256:{'0' * 64}"})}
    verdict = verdict.model_copy(update=fields)
    account = Account(Simulation(bundle, STRICT))
    account.add(Simulation(bundle, STRICT).case(verdict))
    assert (account.set_aside, account.n_compared) == (Counter({reason: 1}), 0)
    assert account.document()["changed_share"] is None


def test_a_policy_is_tried_as_if_it_were_in_force(bundle: Bundle, policies: PolicySet) -> None:
    """Yesterday's verdicts say what a policy of tomorrow would do."""
    tomorrow = STRICT.model_copy(update={"valid_from": NOW.replace(year=2040)})
    case = Simulation(bundle, tomorrow).case(PLAIN.verdict(bundle, policies))
    assert case.new is not None
    assert case.new.decision is not BLOCK


@pytest.mark.parametrize("name", ["default", "short", "must should may", 'ümlaut / "quoted" \\ 🙂', "may"])
def test_the_curve_is_the_share_that_the_policy_would_allow_at_each_rate(
    bundle: Bundle, verdicts: list[Verdict], name: str
) -> None:
    """Found again by deciding under the policy with that rate; what it never allows is not counted as allowed."""
    (policy,) = [one for one in twenty_policies() if one.name == name]
    side, curve = Side(bundle, policy), Curve()
    for verdict in verdicts:
        curve.add(side.of(verdict))
    points = curve.points()
    assert all(one[0] < other[0] and one[1] <= other[1] for one, other in pairwise(points))
    for rate in (0.001, 0.05, *(at for at, _ in points[:: max(1, len(points) // 6)] if 0 < at < 1)):
        expected = _allowed_share(bundle, policy.model_copy(update={"max_banned_to_safe_rate": rate}), verdicts)
        assert max((share for at, share in points if at <= rate), default=0.0) == pytest.approx(expected)


def _allowed_share(bundle: Bundle, policy: Policy, verdicts: list[Verdict]) -> float:
    side = Side(bundle, policy)
    return sum(side.of(verdict).decision is ALLOW for verdict in verdicts) / len(verdicts)


def test_a_long_curve_is_thinned_and_keeps_its_end() -> None:
    """A page of 10,000 points says no more than one of 200."""
    curve = Curve()
    for i in range(1_001):
        curve.add(Said(ALLOW, i / 1_001, i / 1_001))
    curve.add(Said(BLOCK, 1.0, None))
    points = curve.points(100)
    assert len(points) <= 112
    assert points[-1] == (1_000 / 1_001, 1_001 / 1_002)


def _case(chat: str, old: Decision, new: Decision, *risks: float) -> Case:
    return Case(chat, None, Said(old, risks[0]), Said(new, risks[1], risks[1]))


def test_the_account_counts_changes_and_the_risk_of_both_sides(bundle: Bundle) -> None:
    """Real changes first, the commonest first; chats are named of these alone."""
    account = Account(Simulation(bundle, STRICT, DEFAULT_POLICY))
    for case in (
        _case("a", ALLOW, REVIEW, 0.04, 0.06),
        _case("b", ALLOW, REVIEW, 0.02, 0.02),
        _case("c", ALLOW, ALLOW, 0.001, 0.002),
        _case("d", REVIEW, BLOCK, 0.5, 0.9),
        _case("e", ALLOW, ALLOW, 0.003, 0.004),
    ):
        account.add(case)
    document = account.document()
    assert (document["n_compared"], document["n_changed"], document["changed_share"]) == (5, 3, 0.6)
    first, second, same = document["changes"]
    assert first == {
        "old": "allow",
        "new": "review",
        "n": 2,
        "share": 0.4,
        "old_risk": {"mean": 0.03, "largest": 0.04},
        "new_risk": {"mean": 0.04, "largest": 0.06},
        "chat_ids": first["chat_ids"],
    }
    assert sorted(first["chat_ids"]) == ["a", "b"]
    assert (second["old"], second["new"], second["chat_ids"]) == ("review", "block", ["d"])
    assert (same["old"], same["new"], same["n"], same["chat_ids"]) == ("allow", "allow", 2, [])
    assert document["decisions"] == {
        "old": {"allow": 4, "review": 1, "block": 0},
        "new": {"allow": 2, "review": 2, "block": 1},
    }
    assert document["curves"].keys() == {"new", "against"}
    assert document["against"]["name"] == "default"


def test_a_risk_that_verdicts_do_not_tell_is_null(bundle: Bundle) -> None:
    """A mean over those that are known would be taken for one over all."""
    account = Account(Simulation(bundle, STRICT))
    account.add(Case("a", None, Said(ALLOW, None), Said(BLOCK, 0.9)))
    account.add(Case("b", None, Said(ALLOW, 0.1), Said(BLOCK, 0.9)))
    (change,) = account.document()["changes"]
    assert (change["old_risk"], change["new_risk"]) == (None, {"mean": 0.9, "largest": 0.9})


def test_a_sample_does_not_depend_on_the_order_and_names_each_chat_once() -> None:
    """A second run over the same topic, read in another order, shows the same chats."""
    chats = [f"chat-{i}" for i in range(500)]
    samples = []
    for order in range(3):
        sample, shuffled = ChatSample(7, seed=1), [*chats, *chats]
        Random(order).shuffle(shuffled)  # noqa: S311  not a secret
        for chat in shuffled:
            sample.add(chat)
        samples.append(sample.chat_ids())
    assert samples[0] == samples[1] == samples[2]
    assert len(set(samples[0])) == 7
    other, none = ChatSample(7, seed=2), ChatSample(0, seed=1)
    for chat in chats:
        other.add(chat)
        none.add(chat)
    assert other.chat_ids() != samples[0]
    assert none.chat_ids() == []
