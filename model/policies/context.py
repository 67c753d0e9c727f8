"""What bears on a decision besides the chat's evidence and the policies: earlier decisions, people, lists."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from model.decision import SEVERITY
from schemas import Decision, PreviousDecision

EVERY_POLICY: Final = "*"
"""In place of a policy's name: all of them."""


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """What bears on the decisions on one event."""

    previous: PreviousDecision | None = None
    """The earlier decision because of which policies are held; None where none is."""
    held: frozenset[str] = frozenset()
    """Names of the policies whose earlier `block` still holds: `review` at best."""
    said: Mapping[str, Decision] = field(default_factory=dict)
    """What people decided, by name of the policy, or `EVERY_POLICY`; the stricter counts."""
    override_revision: int = 0
    """Of the newest of what people decided; 0 where they said nothing."""
    actor: str | None = None
    """Who decided that, an opaque id."""
    is_denied: bool = False
    """Whether the chat is on a deny list."""
    is_allowed: bool = False
    """Whether the chat is on an allow list."""

    @property
    def listed(self) -> str:
        """Which list the chat is on, as `schemas.verdict_id` takes it; empty: none. A deny list counts first."""
        return "deny" if self.is_denied else "allow" if self.is_allowed else ""

    def said_of(self, policy: str) -> Decision | None:
        """Return what people decided for this policy; None where nobody did.

        Where they speak of the policy and of all of them, the stricter counts: an `allow` for one policy lifts no
        `block` for every policy.
        """
        own, every = self.said.get(policy), self.said.get(EVERY_POLICY)
        if own is None or every is None:
            return own or every
        return max(own, every, key=SEVERITY.__getitem__)


NO_CONTEXT: Final = DecisionContext()
"""Nothing bears on the decision. Compared by identity: most events have this very object."""
