"""Which overrides speak of an event, and what they say. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from model.decision import SEVERITY
from schemas import Decision, Override, OverrideScope


def is_in_force(override: Override, now: datetime) -> bool:
    """Say whether an override has not expired."""
    return override.expires_at is None or now < override.expires_at


def applies(override: Override, fingerprint: str, now: datetime) -> bool:
    """Say whether an override speaks of a chat that says this.

    Args:
        override: Of this chat.
        fingerprint: Of the chat's content.
        now: The clock.
    """
    is_of_text = override.scope is OverrideScope.CHAT or override.content_fingerprint == fingerprint
    return is_of_text and is_in_force(override, now)


def applying(overrides: Iterable[Override], fingerprint: str, now: datetime) -> list[Override]:
    """Return the overrides of a chat that speak of what it says."""
    return [one for one in overrides if applies(one, fingerprint, now)]


def said_by(overrides: Sequence[Override]) -> Mapping[str, Decision]:
    """Return, by policy, what overrides say; where two speak of one policy, the stricter counts."""
    said: dict[str, Decision] = {}
    for one in overrides:
        there = said.get(one.policy)
        if there is None or SEVERITY[one.decision] > SEVERITY[there]:
            said[one.policy] = one.decision
    return said


def newest_of(overrides: Sequence[Override]) -> Override:
    """Return the one with the highest revision; there is at least one."""
    return max(overrides, key=lambda one: one.revision)
