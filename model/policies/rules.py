"""From policies to rules over one bundle: the curves of what counts, and of what is firmly banned."""

from collections.abc import Sequence

from model.bundle.bundle import Bundle
from model.decision import DecisionRule
from model.policies.floor import floor_policy
from model.policies.policy_set import PolicySet
from schemas import Policy


def rule_over(bundle: Bundle, policy: Policy) -> DecisionRule:
    """Return a policy's rule over a bundle.

    Raises:
        BundleError: the policy is over another taxonomy, or the bundle's calibration cannot speak for it.
    """
    curves = bundle.risk_curves(policy)
    if not policy.should:
        return DecisionRule(policy, curves)
    firm = policy.model_copy(update={"banned": policy.must, "enforcement": {}})
    return DecisionRule(policy, curves, bundle.risk_curves(firm))


def policies_over(bundle: Bundle, policies: Sequence[Policy], *, floor: frozenset[str] = frozenset()) -> PolicySet:
    """Return policies over a bundle, behind the floor.

    Args:
        bundle: Its taxonomy's floor counts too.
        policies: Of different names, the default one first.
        floor: More codes that no policy may allow.

    Raises:
        BundleError: a policy or the floor is over another taxonomy, or the bundle's calibration cannot speak for it.
    """
    floor_is = floor_policy(bundle.taxonomy, floor)
    return PolicySet(
        [rule_over(bundle, policy) for policy in policies], None if floor_is is None else rule_over(bundle, floor_is)
    )
