"""From suggested scores to reports on the verdicts that are known on the same text."""

from collections.abc import Mapping
from typing import Final

from console.operations import Operations
from console.perspective.attributes import Attributes
from console.perspective.reading import Suggestion
from console.review.known import KnownItem, known_texts
from console.review.reporting import FeedbackRequest, Reporter
from schemas import Decision, turns_fingerprint

_HAS_IT: Final = 0.5
"""The score from which a comment has what an attribute means."""


def take_suggestion(
    operations: Operations, reporter: Reporter, suggestion: Suggestion, attributes: Attributes, caller: str
) -> None:
    """Put a report into the outbox for each known verdict on the text; raises StoreAway."""
    fingerprint = turns_fingerprint(suggestion.turns)
    with operations.store.reading() as connection:
        known = known_texts(connection, fingerprint)
    asked = [(one, _report(one, fingerprint, suggestion.scores, attributes)) for one in known]
    reports = [(one, report) for one, report in asked if report is not None]
    for one, report in reports:
        reporter.take(report, [one], caller)
    if not reports:
        reporter.drop()


def _report(
    item: KnownItem, fingerprint: str, scores: Mapping[str, float], attributes: Attributes
) -> FeedbackRequest | None:
    """Return the report that scores make on a verdict; None where they say nothing that it does not."""
    category, decision = said(item.category, scores, attributes)
    if category is None and decision is None:
        return None
    return FeedbackRequest(verdict_id=item.verdict_id, fingerprint=fingerprint, category=category, decision=decision)


def said(category: str, scores: Mapping[str, float], attributes: Attributes) -> tuple[str | None, Decision | None]:
    """Return the category that is right by suggested scores, and the decision that is, where they tell.

    Args:
        category: The verdict's.
        scores: By attribute.
        attributes: Which categories mean which attribute.

    Returns:
        The category of the highest attribute from 0.5 on, where one category alone means it. `allow` where the
        attribute of the verdict's category is below, and no other is above.
    """
    highest = max(scores, key=lambda name: scores[name])
    if scores[highest] >= _HAS_IT:
        codes = attributes.codes(highest)
        return (codes[0] if len(codes) == 1 else None), None
    is_denied = any(category in attributes.codes(name) for name in scores)
    return None, Decision.ALLOW if is_denied else None
