"""Which of two outcomes of a chat is the newer: pure.

The rule is the compare-and-set's; a test holds the two together.
"""

import re
from typing import NamedTuple

from schemas import Verdict
from worker.record import Place


class Versions(NamedTuple):
    """Who decided."""

    model_name: str
    model_version: str
    policy_name: str
    policy_version: str


class Outcome(NamedTuple):
    """What one output record says of a chat, without its value."""

    topic: str
    """Of the input record, as are the next three."""
    partition: int
    offset: int
    timestamp_ms: int
    place: Place
    published_ms: int
    """Timestamp of the output record, ms since the epoch."""
    versions: Versions | None = None
    """None for a dead letter."""
    rejected: str | None = None
    """What the marker of a dead letter says; None for a verdict."""
    revision: int = 0
    """`override_revision` of a verdict."""


def verdict_outcome(verdict: Verdict, place: Place, published_ms: int) -> Outcome:
    """Return what a verdict says of its chat.

    Args:
        verdict: As it was published.
        place: Of its record.
        published_ms: Timestamp of its record, ms since the epoch.
    """
    source, model, policy = verdict.source, verdict.model, verdict.policy
    return Outcome(
        source.topic,
        source.partition,
        source.offset,
        source.timestamp_ms,
        place,
        published_ms,
        versions=Versions(model.name, model.version, policy.name, policy.version),
        revision=verdict.override_revision,
    )


def is_newer(new: Outcome, old: Outcome) -> bool:
    """Say whether an outcome takes the place of another; of equals the one published later does."""
    if (new.topic, new.partition) != (old.topic, old.partition):
        if new.timestamp_ms != old.timestamp_ms:
            return new.timestamp_ms > old.timestamp_ms
    elif new.offset != old.offset:
        return new.offset > old.offset
    elif new.versions is not None and old.versions is not None:
        if new.revision != old.revision:
            return new.revision > old.revision
        if _is_older_version(new.versions, old.versions):
            return False
        if _is_older_version(old.versions, new.versions):
            return True
    return new.published_ms >= old.published_ms


def _is_older_version(a: Versions, b: Versions) -> bool:
    """Say whether `a` is an older version of the same model, or of the same policy under an equal model."""
    if a.model_name != b.model_name:
        return False
    model_a, model_b = _numbers(a.model_version), _numbers(b.model_version)
    if model_a != model_b:
        return model_a < model_b
    return a.policy_name == b.policy_name and _numbers(a.policy_version) < _numbers(b.policy_version)


def _numbers(version: str) -> list[int]:
    numbers = [int(digits) for digits in re.findall("[0-9]+", version)]
    # 1.9 and 1.9.0 are the same version.
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers
