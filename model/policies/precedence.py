"""Whose word counts where several speak: pure.

Floor, deny list, a person's block, a person's allow, hold, unevaluated, the policy. The first three and the person's
allow are final; a floor in doubt, a hold and what was not evaluated only take `allow` away.
"""

from typing import Final

from model.decision import Judgement
from model.policies.context import DecisionContext
from schemas import DecidedBy, Decision

SEVERITY: Final = {Decision.ALLOW: 0, Decision.REVIEW: 1, Decision.BLOCK: 2}
"""Which decision is the stricter one."""


def settled(
    own: Judgement, policy: str, context: DecisionContext, floor: Decision = Decision.ALLOW
) -> tuple[Decision, DecidedBy]:
    """Return a policy's decision and what it rests on.

    Args:
        own: What the policy's rule says, unevaluated parts of the chat included.
        policy: Its name.
        context: What else bears on the event.
        floor: What the floor says. `block` is final. `review` asks for a person, so a person may answer it.
    """
    if floor is Decision.BLOCK:
        return Decision.BLOCK, DecidedBy.FLOOR
    if context.is_denied:
        return Decision.BLOCK, DecidedBy.DENY_LIST
    if (said := context.said_of(policy)) is not None:
        return said, DecidedBy.OVERRIDE
    decision, decided_by = own.decision, own.decided_by
    if decision is Decision.ALLOW and floor is Decision.REVIEW:
        return Decision.REVIEW, DecidedBy.FLOOR
    if decision is Decision.ALLOW and policy in context.held:
        return Decision.REVIEW, DecidedBy.HOLD
    return decision, decided_by
