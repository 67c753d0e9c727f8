"""What a person may decide, and what of it counts: the rules that the command and the console share. Pure.

An allow binds to the text that was looked at and expires after a day; a block or a review is of the whole chat until it
is taken back. Beside a stricter override it would count for nothing, and neither floor nor deny list is lifted by it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple, Protocol

from model.decision import SEVERITY
from model.policies.context import EVERY_POLICY
from schemas import DecidedBy, Decision, Override, OverrideScope, PolicyDecision, Source
from schemas.override import ALLOW_LASTS, highest_revision
from worker.overrides.applying import is_in_force

_BARRIERS: Final = (DecidedBy.DENY_LIST, DecidedBy.FLOOR)
"""They block for good."""


class Answered(Protocol):
    """What an override answers: a verdict, or what is kept of the one that was looked at."""

    @property
    def chat_id(self) -> str:
        """The chat."""

    @property
    def verdict_id(self) -> str:
        """The verdict's id."""

    @property
    def content_fingerprint(self) -> str:
        """Of what the chat said."""

    @property
    def source(self) -> Source:
        """The input record."""

    @property
    def override_revision(self) -> int:
        """Revision of the override under which it was decided; 0: none."""


class Wish(NamedTuple):
    """What a person decides."""

    decision: Decision
    policy: str
    """A policy's name, or `*`."""
    scope: OverrideScope
    expires_at: datetime | None
    actor: str
    reason: str


class RevisionForged(Exception):  # noqa: N818  the name says what was found
    """A chat's verdict is under a revision that no clock gave, and above which nobody could decide.

    Args:
        revision: The one that was found.
    """

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"the chat's verdict is under an override of revision {revision}, which no clock gave; expected "
            "milliseconds since 1970: somebody forged it; delete the chat's key in Redis; find out who writes there"
        )


def wish_of(
    decision: Decision,
    *,
    policy: str,
    whole_chat: bool,
    lasts: timedelta | None,
    actor: str,
    reason: str,
    decided_at: datetime,
) -> Wish:
    """Return what is decided, with scope and end as the rules have them.

    Args:
        decision: What the chat gets.
        policy: A policy's name, or `*`.
        whole_chat: Whether an allow is of whatever the chat says from now on.
        lasts: How long it counts; None: an allow a day, else until it is taken back.
        actor: Who decides.
        reason: Why, a code.
        decided_at: When.
    """
    is_allow = decision is Decision.ALLOW
    counts_for = ALLOW_LASTS if is_allow and lasts is None else lasts
    return Wish(
        decision,
        policy,
        OverrideScope.FINGERPRINT if is_allow and not whole_chat else OverrideScope.CHAT,
        None if counts_for is None else decided_at + counts_for,
        actor,
        reason,
    )


def outweighing(wish: Wish, standing: Iterable[Override], now: datetime) -> Override | None:
    """Return a stricter override of the other scope, or for all policies, beside which a wish would not count."""
    for one in standing:
        is_beside = one.policy in {wish.policy, EVERY_POLICY} and (one.policy, one.scope) != (wish.policy, wish.scope)
        if is_beside and is_in_force(one, now) and SEVERITY[one.decision] > SEVERITY[wish.decision]:
            return one
    return None


def outweighed_text(stricter: Override) -> str:
    """Return why a wish would not count beside this one; what to do is the caller's to add."""
    return (
        f"{stricter.decision.value} stands for {policies_text(stricter.policy)} ({stricter.scope.value}, revision "
        f"{stricter.revision}, by {stricter.actor}), and the stricter one counts; expected no such override"
    )


def not_lifted_by(decision: Decision, policy: str, decisions: Mapping[str, PolicyDecision]) -> list[DecidedBy]:
    """Return floor and deny list where one of them blocks the chat, which no person loosens.

    Args:
        decision: What a person decides.
        policy: For which policy, or `*`.
        decisions: The newest verdict's, by policy.
    """
    named = [one for name, one in decisions.items() if policy in {EVERY_POLICY, name}]
    found = {one.decided_by for one in named if one.decision is Decision.BLOCK}
    return [] if decision is Decision.BLOCK else [one for one in _BARRIERS if one in found]


def next_revision(now: datetime, standing: Iterable[Override], seen: int) -> int:
    """Return the revision of a new override.

    Args:
        now: The clock, so that a revision is never given twice, though an earlier override was taken back.
        standing: What stands on the chat.
        seen: `override_revision` of the chat's newest verdict; 0 where none is known.

    Raises:
        RevisionForged: workers would leave it alone.
    """
    highest = max((one.revision for one in standing), default=0)
    revision = max(round(now.timestamp() * 1_000), highest + 1, seen + 1)
    if revision > highest_revision(now):
        raise RevisionForged(seen)
    return revision


def override_of(answered: Answered, wish: Wish, revision: int, decided_at: datetime) -> Override:
    """Return the override that says what was wished.

    Raises:
        pydantic.ValidationError: it would end before it begins.
    """
    return Override(
        chat_id=answered.chat_id,
        policy=wish.policy,
        scope=wish.scope,
        decision=wish.decision,
        content_fingerprint=answered.content_fingerprint,
        decided_at=decided_at,
        expires_at=wish.expires_at,
        actor=wish.actor,
        reason=wish.reason,
        verdict_id=answered.verdict_id,
        source=answered.source,
        revision=revision,
    )


def policies_text(policy: str) -> str:
    """Return a policy's name as a sentence has it."""
    return "all policies" if policy == EVERY_POLICY else f"policy {policy}"
