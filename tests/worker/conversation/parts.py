"""Policies, verdicts and states of chats that are held."""

from datetime import UTC, datetime
from typing import Any

from model import Classification, DecisionRule
from model.policies.policy_set import PolicySet
from schemas import DecidedBy, Decision, Policy, PolicyDecision, Verdict
from tests.worker.payloads import POLICY, builder, classification, event
from tests.worker.test_verdict_builder import CURVES
from worker.verdict_builder import VerdictBuilder

T0_MS = 1_790_000_000_000
"""2026-09-21, a plausible record timestamp."""
HOUR_MS = 3_600_000
T0 = datetime.fromtimestamp(T0_MS / 1_000, UTC)


def policy(name: str = "p", *, hold_s: float = 3_600.0, **fields: Any) -> Policy:
    """Return a policy that holds what it blocked."""
    return POLICY.model_copy(update={"name": name, "hold_block_s": hold_s, **fields})


def holding_builder(*policies: Policy) -> VerdictBuilder:
    """Return a builder under these policies, the first of them the default."""
    found = policies or (policy(),)
    rules = PolicySet([DecisionRule(one, CURVES) for one in found])
    return builder(policy_in_use=found[0], policies=rules)


def reading(decision: Decision) -> Classification:
    """Return an answer of the classifier on which every policy of these tests says `allow` or `block`."""
    return classification({Decision.ALLOW: "F", Decision.BLOCK: "J"}[decision], decision)


def verdict(
    offset: int, *, decided_at: datetime = T0, by: DecidedBy = DecidedBy.MODEL, **decisions: Decision
) -> Verdict:
    """Return a verdict with these decisions by policy; by default `p` allows."""
    said = decisions or {"p": Decision.ALLOW}
    made = builder().fresh(event(offset), classification(), decided_at)
    default = next(iter(said.values()))
    return made.model_copy(
        update={
            "decision": default,
            "decisions": {
                name: PolicyDecision(version="1", decision=decision, decided_by=by) for name, decision in said.items()
            },
        }
    )
