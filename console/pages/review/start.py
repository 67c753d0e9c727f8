"""What the page is told at its start: who asks, the rules of answers, categories, policies."""

from dataclasses import asdict
from typing import Any, Final

from console.pages.review.desk import Person
from console.review.own_work import (
    DAY_MS,
    PAUSE_AFTER_MS,
    PAUSE_AFTER_SEVERE,
    PAUSE_MS,
    answer_times,
    exposure_of,
    n_answered,
)
from console.review.preferences import preferences_of
from console.review.queue import Queue
from console.service import Service
from schemas import Policy
from schemas.policy import Enforcement

_PERCENT: Final = 100
_PACE_WITHIN_MS: Final = 1_800_000
_PACE_OF: Final = 20
"""The pace is of so many answers, where they are of the last half hour."""


def start_of(service: Service, queue: Queue, person: Person, *, now: int) -> dict[str, Any]:
    """Return what the page begins with, JSON-ready; raises StoreAway.

    Args:
        service: Taxonomy, policies and settings.
        queue: The queue.
        person: Who asks.
        now: Milliseconds since 1970.
    """
    review, taxonomy, writer = service.settings.review, service.bundle.taxonomy, service.writer
    with queue.reading() as connection:
        preferences = preferences_of(connection, person.name)
        exposure = exposure_of(connection, person.name, writer.banned, now)
        n_today = n_answered(connection, person.name, now - DAY_MS)
        answered_ms = answer_times(connection, person.name, now - _PACE_WITHIN_MS, _PACE_OF)
    policies = [_policy(policy) for policy in writer.policies]
    names = [policy["name"] for policy in policies if person.queues is None or policy["name"] in person.queues]
    others = [standing.queue for standing in queue.standings(person.queues) if standing.queue not in names]
    return {
        "person": person.name,
        "is_admin": person.is_admin,
        "now_ms": now,
        "preferences": preferences.model_dump(),
        "reasons": list(queue.rules.reasons),
        "reason_needed": sorted(queue.rules.needed),
        "reason_needed_by_queue": {name: sorted(needed) for name, needed in queue.rules.needed_by_queue.items()},
        "lease_s": review.lease_s,
        "undo_s": review.undo_s,
        "opinions": review.opinions,
        "queues": [*names, *others],
        "taxonomy": {"name": taxonomy.name, "version": taxonomy.version, "rules": taxonomy.rules},
        "categories": [
            {"code": one.code, "name": one.name, "description": one.description} for one in taxonomy.categories
        ],
        "policies": policies,
        "n_today": n_today,
        "answered_ms": answered_ms,
        "exposure": {
            **asdict(exposure),
            "pause_ms": PAUSE_MS,
            "pause_after_ms": PAUSE_AFTER_MS,
            "pause_after_severe": PAUSE_AFTER_SEVERE,
        },
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "version": policy.version,
        "banned": sorted(policy.banned),
        "should": sorted(policy.should),
        "note": _said(policy),
    }


def _said(policy: Policy) -> str:
    """Say a policy in sentences."""
    passing, blocked = _share(policy.max_banned_to_safe_rate), _share(policy.max_safe_to_banned_rate)
    parts = [f"At most {passing} of banned chats may be allowed, {blocked} of safe ones blocked."]
    soft = {kind: sorted(c for c, one in policy.enforcement.items() if one is kind) for kind in Enforcement}
    if soft[Enforcement.SHOULD]:
        parts.append(f"Never blocked for {', '.join(soft[Enforcement.SHOULD])} alone.")
    if soft[Enforcement.MAY]:
        parts.append(f"{', '.join(soft[Enforcement.MAY])}: named, decides nothing.")
    if policy.languages is not None:
        parts.append(f"Languages: {', '.join(sorted(policy.languages))}.")
    if policy.requested_by is not None:
        parts.append(f"Asked for by {policy.requested_by}.")
    return " ".join(parts)


def _share(rate: float) -> str:
    return f"{_PERCENT * rate:.4g} %"
