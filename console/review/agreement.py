"""How far reviewers agree, beyond chance. Pure; labels are any words.

Sources: Cohen, A coefficient of agreement for nominal scales (1960); Fleiss, Measuring nominal scale agreement among
many raters (1971), in the form for a varying number of raters, which equals the original where all items have as many.
"""

from collections import Counter
from collections.abc import Sequence


def agreement_ratio(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return the share of pairs of labels that are the same; None of no pairs."""
    return sum(one == other for one, other in pairs) / len(pairs) if pairs else None


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Return the kappa of two reviewers; None of no items, and where both always say one and the same.

    Args:
        pairs: What each said of an item.
    """
    observed = agreement_ratio(pairs)
    if observed is None:
        return None
    ones, others = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    by_chance = sum(ones[label] * others[label] for label in ones) / len(pairs) ** 2
    return None if by_chance >= 1 else (observed - by_chance) / (1 - by_chance)


def fleiss_kappa(items: Sequence[Sequence[str]]) -> float | None:
    """Return the kappa of any number of reviewers over the items with two labels or more.

    Returns:
        None where there are none, or all labels are one.
    """
    several = [labels for labels in items if len(labels) > 1]
    if not several:
        return None
    observed = sum(_same_pairs(labels) for labels in several) / len(several)
    counts = Counter(label for labels in several for label in labels)
    total = sum(counts.values())
    by_chance = sum((count / total) ** 2 for count in counts.values())
    return None if by_chance >= 1 else (observed - by_chance) / (1 - by_chance)


def _same_pairs(labels: Sequence[str]) -> float:
    n = len(labels)
    return sum(count * (count - 1) for count in Counter(labels).values()) / (n * (n - 1))
