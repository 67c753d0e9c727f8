"""The rows of the policy table: what a set of policies over a bundle decides by, for whoever holds verdicts. Pure."""

from collections.abc import Collection

from model.decision import DecisionRule
from model.policies.policy_set import PolicySet
from schemas import ModelRef, PolicyRef, Taxonomy
from schemas.policy_table import FloorThresholds, PolicyTableRow


def policy_rows(policies: PolicySet, model: ModelRef, taxonomy: Taxonomy) -> list[PolicyTableRow]:
    """Return one row for each policy, the default policy's first.

    Args:
        policies: What decides.
        model: The bundle over which it does.
        taxonomy: The bundle's.
    """
    floor = None if policies.floor is None else _floor(policies.floor, taxonomy)
    return [_row(rule, model, taxonomy, floor) for rule in policies.rules]


def _row(rule: DecisionRule, model: ModelRef, taxonomy: Taxonomy, floor: FloorThresholds | None) -> PolicyTableRow:
    policy = rule.policy
    allow_below, block_from = rule.thresholds.on_the_wire
    return PolicyTableRow(
        model=model,
        calibrated=rule.curves.is_calibrated,
        taxonomy=taxonomy.ref,
        policy=PolicyRef(name=policy.name, version=policy.version),
        requested_by=policy.requested_by,
        must=_in_order(policy.must, taxonomy),
        should=_in_order(policy.should, taxonomy),
        may=_in_order(policy.banned - policy.counted, taxonomy),
        evidence_decimals=rule.curves.decimals,
        allow_below=allow_below,
        block_from=block_from,
        max_banned_to_safe_rate=policy.max_banned_to_safe_rate,
        max_safe_to_banned_rate=policy.max_safe_to_banned_rate,
        floor=floor,
        unevaluated=policy.unevaluated,
        uncalibrated_languages=policy.uncalibrated_languages,
        languages=None if policy.languages is None else tuple(sorted(policy.languages)),
        max_message_characters=policy.max_message_characters,
        hold_block_s=policy.hold_block_s,
        valid_from=policy.valid_from,
        valid_until=policy.valid_until,
    )


def _floor(rule: DecisionRule, taxonomy: Taxonomy) -> FloorThresholds:
    allow_below, block_from = rule.thresholds.on_the_wire
    return FloorThresholds(
        codes=_in_order(rule.policy.counted, taxonomy), allow_below=allow_below, block_from=block_from
    )


def _in_order(codes: Collection[str], taxonomy: Taxonomy) -> tuple[str, ...]:
    """Return codes in the taxonomy's order, so that equal rows are equal bytes."""
    return tuple(code for code in taxonomy.codes if code in codes)
