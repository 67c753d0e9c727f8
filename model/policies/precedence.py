"""Whose word counts where several speak: pure.

Floor, a policy out of force, deny list, a person's block, a person's allow, hold, unevaluated, the policy. All up to
the person's allow are final; a floor in doubt, a hold and what was not evaluated only take `allow` away.
"""

from typing import Final

from model.decision import NOT_IN_FORCE, Judgement, Word
from model.policies.context import DecisionContext
from schemas import DecidedBy, Decision

_LISTED: Final = Word(Decision.ALLOW, DecidedBy.OVERRIDE)


def settled(
    own: Judgement | Word,
    policy: str,
    context: DecisionContext,
    floor: Decision = Decision.ALLOW,
    *,
    is_in_force: bool = True,
) -> Word:
    """Return a policy's decision and what it rests on.

    Args:
        own: What the policy's rule says, unevaluated parts of the chat included.
        policy: Its name.
        context: What else bears on the event.
        floor: What the floor says. `block` is final. `review` asks for a person, so a person may answer it; a list may
            not.
        is_in_force: Whether it is decided within the policy's validity.
    """
    if (final := _final(policy, context, floor, is_in_force=is_in_force)) is not None:
        return final
    if own.decision is Decision.ALLOW and floor is Decision.REVIEW:
        return Word(Decision.REVIEW, DecidedBy.FLOOR)
    if own.decision is Decision.ALLOW and policy in context.held:
        return Word(Decision.REVIEW, DecidedBy.HOLD)
    return Word(own.decision, own.decided_by)


def _final(policy: str, context: DecisionContext, floor: Decision, *, is_in_force: bool) -> Word | None:
    if floor is Decision.BLOCK:
        return Word(Decision.BLOCK, DecidedBy.FLOOR)
    if not is_in_force:
        return NOT_IN_FORCE
    if context.is_denied:
        return Word(Decision.BLOCK, DecidedBy.DENY_LIST)
    if (said := context.said_of(policy)) is not None:
        return Word(said, DecidedBy.OVERRIDE)
    # A floor in doubt asks for a person, and a list has not looked at the chat.
    return _LISTED if context.is_allowed and floor is Decision.ALLOW else None
