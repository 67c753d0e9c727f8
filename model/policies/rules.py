"""From policies to rules over one bundle: the curves of what counts, and of what is firmly banned."""

from collections.abc import Iterable, Sequence

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


def floor_rule(bundle: Bundle, floor: frozenset[str] = frozenset()) -> DecisionRule | None:
    """Return the rule that stands before every policy over a bundle; None where nothing is banned for all.

    Args:
        bundle: Its taxonomy's floor counts.
        floor: More codes that no policy may allow.

    Raises:
        BundleError: the floor is over another taxonomy, or the bundle's calibration cannot speak for it.
    """
    before_all = floor_policy(bundle.taxonomy, floor)
    return None if before_all is None else rule_over(bundle, before_all)


def policies_over(bundle: Bundle, policies: Sequence[Policy], *, floor: frozenset[str] = frozenset()) -> PolicySet:
    """Return policies over a bundle, behind the floor; see `policies_with`.

    Raises:
        BundleError: a policy or the floor is over another taxonomy, or the bundle's calibration cannot speak for it.
    """
    default, *others = policies
    return policies_with(bundle, default, [rule_over(bundle, policy) for policy in others], floor=floor)


def policies_with(
    bundle: Bundle, default: Policy, others: Iterable[DecisionRule], *, floor: frozenset[str] = frozenset()
) -> PolicySet:
    """Return a bundle's default policy and others, behind the floor.

    Args:
        bundle: Its taxonomy's floor counts too.
        default: The default policy.
        others: Rules over this bundle, of policies with other names.
        floor: More codes that no policy may allow.

    Raises:
        BundleError: the default policy or the floor is over another taxonomy, or the bundle's calibration cannot speak
            for it.
    """
    return PolicySet([rule_over(bundle, default), *others], floor_rule(bundle, floor))
