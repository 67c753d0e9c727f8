"""`decisions` of a verdict, made once for all verdicts that say the same, with their JSON.

With many policies, writing them is most of what a verdict costs: so each decision is written once, and joined.

Invariant: the JSON is what encoding the decisions one by one gives, byte for byte.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

import orjson

from schemas.verdict import PolicyDecision


class EncodedDecision(NamedTuple):
    """What one policy says, and how a verdict writes it."""

    policy: str
    decision: PolicyDecision
    member: bytes
    """Name and value, as they stand in a JSON object."""

    @classmethod
    def of(cls, policy: str, decision: PolicyDecision) -> Self:
        """Return a policy's decision, written."""
        return cls(policy, decision, orjson.dumps({policy: decision}, default=vars)[1:-1])


class SharedDecisions(dict[str, PolicyDecision]):
    """By policy name. Verdicts share it, so nobody changes it.

    Args:
        decisions: One for each policy, of different names.
    """

    __slots__ = ("json",)

    def __init__(self, decisions: Sequence[EncodedDecision]) -> None:
        super().__init__({one.policy: one.decision for one in decisions})
        self.json = b"{%b}" % b",".join([one.member for one in decisions])

    def __eq__(self, other: object) -> bool:
        """Compare what is written first: value by value takes a microsecond each."""
        if isinstance(other, SharedDecisions) and self.json == other.json:
            return True
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        """A dict has its own, which knows nothing of the above."""
        return not self == other

    __hash__ = None  # as of every dict
