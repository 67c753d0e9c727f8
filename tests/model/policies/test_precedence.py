"""Whose word counts: floor, deny list, a person's block, a person's allow, hold, unevaluated, the policy."""

import pytest

from model.decision import Judgement
from model.policies.context import EVERY_POLICY, NO_CONTEXT, DecisionContext
from model.policies.precedence import settled
from schemas import DecidedBy, Decision

ALLOW, REVIEW, BLOCK = Decision.ALLOW, Decision.REVIEW, Decision.BLOCK
ALLOWED = Judgement(0.1, 0.01, ALLOW, DecidedBy.MODEL)
BLOCKED = Judgement(0.9, 0.9, BLOCK, DecidedBy.MODEL)
UNREAD = Judgement(0.1, 0.01, REVIEW, DecidedBy.UNEVALUATED)

SAID_ALLOW = {EVERY_POLICY: ALLOW}
SAID_BLOCK = {EVERY_POLICY: BLOCK}
HELD = frozenset({"p"})


@pytest.mark.parametrize(
    ("own", "context", "floor", "expected"),
    [
        (ALLOWED, NO_CONTEXT, ALLOW, (ALLOW, DecidedBy.MODEL)),
        (BLOCKED, NO_CONTEXT, ALLOW, (BLOCK, DecidedBy.MODEL)),
        (UNREAD, NO_CONTEXT, ALLOW, (REVIEW, DecidedBy.UNEVALUATED)),
        (ALLOWED, DecisionContext(is_denied=True, said=SAID_ALLOW), BLOCK, (BLOCK, DecidedBy.FLOOR)),
        (ALLOWED, DecisionContext(is_denied=True, said=SAID_ALLOW), ALLOW, (BLOCK, DecidedBy.DENY_LIST)),
        (ALLOWED, DecisionContext(said=SAID_BLOCK, is_allowed=True), ALLOW, (BLOCK, DecidedBy.OVERRIDE)),
        (BLOCKED, DecisionContext(said=SAID_ALLOW, held=HELD), ALLOW, (ALLOW, DecidedBy.OVERRIDE)),
        (UNREAD, DecisionContext(said=SAID_ALLOW), ALLOW, (ALLOW, DecidedBy.OVERRIDE)),
        (ALLOWED, DecisionContext(said=SAID_ALLOW), REVIEW, (ALLOW, DecidedBy.OVERRIDE)),
        (BLOCKED, DecisionContext(is_allowed=True), ALLOW, (ALLOW, DecidedBy.OVERRIDE)),
        (ALLOWED, DecisionContext(is_allowed=True), REVIEW, (REVIEW, DecidedBy.FLOOR)),
        (BLOCKED, DecisionContext(is_allowed=True), REVIEW, (BLOCK, DecidedBy.MODEL)),
        (ALLOWED, DecisionContext(said=SAID_ALLOW, is_allowed=True), REVIEW, (ALLOW, DecidedBy.OVERRIDE)),
        (ALLOWED, DecisionContext(said={EVERY_POLICY: ALLOW, "p": BLOCK}), ALLOW, (BLOCK, DecidedBy.OVERRIDE)),
        (ALLOWED, DecisionContext(said={EVERY_POLICY: BLOCK, "p": ALLOW}), ALLOW, (BLOCK, DecidedBy.OVERRIDE)),
        (BLOCKED, DecisionContext(said={EVERY_POLICY: REVIEW, "p": ALLOW}), ALLOW, (REVIEW, DecidedBy.OVERRIDE)),
        (ALLOWED, DecisionContext(said={"other": BLOCK}), ALLOW, (ALLOW, DecidedBy.MODEL)),
        (ALLOWED, NO_CONTEXT, REVIEW, (REVIEW, DecidedBy.FLOOR)),
        (ALLOWED, DecisionContext(held=HELD), ALLOW, (REVIEW, DecidedBy.HOLD)),
        (BLOCKED, DecisionContext(held=HELD), ALLOW, (BLOCK, DecidedBy.MODEL)),
        (UNREAD, DecisionContext(held=HELD), ALLOW, (REVIEW, DecidedBy.UNEVALUATED)),
        (ALLOWED, DecisionContext(held=frozenset({"other"})), ALLOW, (ALLOW, DecidedBy.MODEL)),
    ],
)
def test_the_first_that_speaks_decides(
    own: Judgement, context: DecisionContext, floor: Decision, expected: tuple[Decision, DecidedBy]
) -> None:
    """Final words first; what only takes `allow` away names itself only where it did."""
    assert settled(own, "p", context, floor) == expected
