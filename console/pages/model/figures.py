"""What the page shows of the served bundle: card, calibration, confusion, probes."""

from typing import Any

import numpy as np

from model import Bundle, DecisionRule
from model.calibration import banned_mask, policy_scores
from model.figures.guarantee import guarantee_of
from model.figures.proportion import clopper_pearson
from model.figures.reliability import confusion, expected_calibration_error, reliability


def figures_of(bundle: Bundle, rule: DecisionRule) -> dict[str, Any]:
    """Return the figures of a bundle as JSON.

    Args:
        bundle: The served one.
        rule: Its default policy's.
    """
    manifest, counted = bundle.manifest, rule.policy.counted
    return {
        "model": bundle.ref.model_dump(),
        "taxonomy": bundle.taxonomy.ref.model_dump(),
        "policy": f"{rule.policy.name} {rule.policy.version}",
        "categories": [
            {"code": category.code, "name": category.name, "is_banned": category.code in counted}
            for category in bundle.taxonomy.categories
        ],
        "card": bundle.card,
        "calibration": _calibration(bundle, rule) if len(bundle.calibration_labels) else None,
        "probes": manifest.metrics.get("probes"),
    }


def _calibration(bundle: Bundle, rule: DecisionRule) -> dict[str, Any]:
    labels, probabilities = bundle.calibration_labels, bundle.calibration_probabilities
    named = probabilities.argmax(axis=1)
    right = named == labels
    mask = banned_mask(rule.policy.counted, bundle.taxonomy.codes)
    # Rounding in calibration.json may leave a sum a hair above 1.
    confidence = reliability(np.minimum(1.0, probabilities.max(axis=1).astype(np.float64)), right)
    banned = reliability(policy_scores(bundle.calibration_evidence, mask), mask[labels])
    n, n_right = len(labels), int(right.sum())
    return {
        "n": n,
        "n_banned": int(mask[labels].sum()),
        "accuracy": {"value": n_right / n, "interval": clopper_pearson(n_right, n)},
        "confidence": [one._asdict() for one in confidence],
        "confidence_error": expected_calibration_error(confidence),
        "banned": [one._asdict() for one in banned],
        "banned_error": expected_calibration_error(banned),
        "confusion": confusion(labels, named, len(mask)),
        "guarantee": guarantee_of(rule).document(),
    }
