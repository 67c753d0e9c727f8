"""Verdicts decided as columns: the same answers as one by one, to the last digit."""

from dataclasses import replace

import numpy as np
import pytest

from model import Bundle
from model.decision import SEVERITY
from model.policies.context import NO_CONTEXT, DecisionContext
from model.policies.decide_columns import said_of
from model.policies.policy_set import PolicySet
from model.policies.rules import policies_over
from model.policies.simulate import Side, Simulation
from model.policies.simulated import Account
from model.policies.verdict_columns import VerdictColumns
from schemas import DEFAULT_POLICY, DecidedBy, Decision, Verdict
from tests.policy_cases import NOW, Read, some_readings, twenty_policies

FLOOR = frozenset("M")


@pytest.fixture(scope="module")
def policies(bundle: Bundle) -> PolicySet:
    """Return all policies, whose thresholds the verdicts lie around."""
    return policies_over(bundle, twenty_policies())


@pytest.fixture(scope="module")
def verdicts(bundle: Bundle, policies: PolicySet) -> list[Verdict]:
    """Return verdicts without a context."""
    plain = policies_over(bundle, [DEFAULT_POLICY])
    readings = (read._replace(context=NO_CONTEXT) for read in some_readings(bundle, policies, 300))
    return [read.verdict(bundle, plain, chat_id=f"chat-{i}") for i, read in enumerate(readings)]


def columns_of(bundle: Bundle, verdicts: list[Verdict]) -> VerdictColumns:
    """Return verdicts as columns."""
    columns = VerdictColumns(bundle.taxonomy.codes, len(verdicts))
    for row, verdict in enumerate(verdicts):
        columns.put(row, verdict)
    return columns


@pytest.mark.parametrize("floor", [frozenset(), FLOOR], ids=["no floor", "floor"])
@pytest.mark.parametrize("decimals", [6, 5], ids=["format 2", "format 1"])
def test_every_policy_says_the_same_of_columns_as_of_verdicts(
    bundle: Bundle, verdicts: list[Verdict], floor: frozenset[str], decimals: int
) -> None:
    """Decision, risk and the rate from which on a chat is allowed, for policies that differ in all they can say."""
    if decimals == 5:
        bundle = replace(
            bundle,
            manifest=bundle.manifest.model_copy(update={"format_version": 1}),
            calibration_evidence=np.round(bundle.calibration_evidence, 5),
        )
    columns = columns_of(bundle, verdicts)
    for policy in twenty_policies():
        side = Side(bundle, policy, floor)
        said = said_of(side, columns)
        expected = [side.of(verdict) for verdict in verdicts]
        assert said.decisions.tolist() == [SEVERITY[one.decision] for one in expected], policy.name
        assert said.risks.tolist() == [one.risk for one in expected], policy.name
        found = [None if np.isnan(rate) else rate for rate in said.allowed_from.tolist()]
        assert found == [one.allowed_from for one in expected], policy.name


def test_an_account_of_columns_is_that_of_the_verdicts(bundle: Bundle, verdicts: list[Verdict]) -> None:
    """Counts, risks, chats and curves, whatever is compared with what."""
    columns = columns_of(bundle, verdicts)
    named = {policy.name: policy for policy in twenty_policies()}
    for new, old in [("strict", "default"), ("all but A", "may"), ("nothing banned", "loose"), ("short", "should")]:
        simulation = Simulation(bundle, named[new], named[old])
        one_by_one, at_once = (Account(simulation, n_sampled=3) for _ in range(2))
        for verdict in verdicts:
            one_by_one.add(simulation.case(verdict))
        assert simulation.against is not None
        at_once.add_many(columns.chat_ids, said_of(simulation.against, columns), said_of(simulation.new, columns))
        assert at_once.document() == one_by_one.document()
        assert at_once.n_changed > 0


def test_an_uncalibrated_bundle_allows_nothing_that_is_banned(bundle: Bundle, verdicts: list[Verdict]) -> None:
    """Both risks are 1 then."""
    bare = replace(
        bundle,
        manifest=bundle.manifest.model_copy(update={"calibrated": False}),
        calibration_labels=bundle.calibration_labels[:0],
        calibration_evidence=bundle.calibration_evidence[:0],
    )
    said = said_of(Side(bare, DEFAULT_POLICY), columns_of(bare, verdicts))
    assert SEVERITY[Decision.ALLOW] not in said.decisions
    assert set(said.risks.tolist()) == {1.0}


def test_what_people_and_lists_decided_is_told_apart(bundle: Bundle) -> None:
    """Of a policy that the verdict names its own word counts, of another one the default policy's."""
    two = policies_over(bundle, [DEFAULT_POLICY, DEFAULT_POLICY.model_copy(update={"name": "other"})])
    evidence = dict.fromkeys("ABCDEFGHIJKLM", 0.0) | {"F": 1.0}
    said = DecisionContext(said={"other": Decision.BLOCK}, override_revision=1)
    read = Read(evidence, "F", (), "en", 10, NOW, said)
    columns = columns_of(bundle, [read.verdict(bundle, two), read._replace(context=NO_CONTEXT).verdict(bundle, two)])
    first, second = (columns.interventions[place] for place in columns.intervention)
    assert first.in_place_of("other") is DecidedBy.OVERRIDE
    assert first.in_place_of("default") is None
    assert first.in_place_of("new") is None
    assert second.in_place_of("other") is None
    listed = read._replace(context=DecisionContext(is_denied=True)).verdict(bundle, two)
    (third,) = columns_of(bundle, [listed]).interventions
    assert third.in_place_of("new") is DecidedBy.DENY_LIST


def test_rows_are_replaced_and_left_out(bundle: Bundle, verdicts: list[Verdict]) -> None:
    """The newest verdict of a chat takes its row; a sample keeps some rows, in their order."""
    columns = VerdictColumns(bundle.taxonomy.codes, 3)
    for row, verdict in enumerate(verdicts[:3]):
        columns.put(row, verdict)
    columns.put(1, verdicts[7])
    columns.keep(np.array([1, 2]))
    expected = columns_of(bundle, [verdicts[7], verdicts[2]])
    assert columns.n == 2
    assert columns.evidence.tolist() == expected.evidence.tolist()
    assert columns.longest.tolist() == expected.longest.tolist()
    assert columns.chat_ids == ["chat-1", "chat-2"]
    columns.put(2, verdicts[0])
    assert columns.n == 3


def test_a_verdict_of_other_categories_is_refused(verdicts: list[Verdict]) -> None:
    """Its evidence would stand in the wrong columns."""
    columns = VerdictColumns("AB", 1)
    with pytest.raises(ValueError, match="categories are not"):
        columns.put(0, verdicts[0])
