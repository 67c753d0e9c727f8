"""Verdicts as the database counts them, drawn from a bundle's calibration chats."""

from collections import Counter

from console.store.counting import HOUR_MS, Counted, add_counts
from console.store.store import Store
from model import Bundle
from model.calibration import banned_mask, policy_scores


def counted(bundle: Bundle, hour_ms: int, n: int, *, language: str = "en", only: str | None = None) -> Counter[Counted]:
    """Return the counts of so many verdicts of an hour.

    Args:
        bundle: Whose calibration chats they are, in turn.
        hour_ms: The hour's beginning.
        n: Verdicts.
        language: Of all of them.
        only: The category of all of them; None: as the bundle names them.
    """
    codes = bundle.taxonomy.codes
    named = bundle.calibration_probabilities.argmax(axis=1)
    mask = banned_mask(bundle.default_policy.counted, codes)
    scores = policy_scores(bundle.calibration_evidence, mask)
    found: Counter[Counted] = Counter()
    for i in range(n):
        row = i % len(named)
        found[Counted(hour_ms, "category", "", only or codes[int(named[row])])] += 1
        found[Counted(hour_ms, "score", bundle.default_policy.name, str(min(9, int(scores[row] * 10))))] += 1
        found[Counted(hour_ms, "score", "another policy", "0")] += 1
        found[Counted(hour_ms, "language", "", language)] += 1
        found[Counted(hour_ms, "length", "", "unknown" if row % 10 == 0 else "50")] += 1
    return found


def put(store: Store, numbers: Counter[Counted]) -> None:
    """Write counts."""
    with store.writing() as connection:
        add_counts(connection, numbers)


def hour_of(at_ms: int) -> int:
    """Return the beginning of the hour."""
    return at_ms - at_ms % HOUR_MS
