"""Rules over calibration chats that are made up, and evidence to decide on."""

from collections.abc import Iterable
from typing import Any

import numpy as np

from model.calibration import RiskCurves, banned_mask, policy_scores
from model.decision import DecisionRule
from schemas import CHAT_13, DEFAULT_POLICY, Policy

CODES = CHAT_13.codes
_RANDOM = np.random.default_rng(18)
_LABELS = _RANDOM.integers(len(CODES), size=2_000)


def some_evidence(n_chats: int, labels: Iterable[int] | None = None, *, seed: int = 3) -> np.ndarray[Any, Any]:
    """Return evidence as verdicts hold it, float64 [n_chats, 13]: a category that leads, and a little of the others."""
    random = np.random.default_rng(seed)
    chosen = random.integers(len(CODES), size=n_chats) if labels is None else np.fromiter(labels, np.int64)
    found = random.dirichlet(np.full(len(CODES), 0.15), size=n_chats)
    weight = random.beta(2, 1, size=n_chats)[:, None]
    found = weight * np.eye(len(CODES))[chosen] + (1 - weight) * found
    return found.round(6)


_EVIDENCE = some_evidence(len(_LABELS), _LABELS, seed=4)


def policy(**fields: Any) -> Policy:
    """Return the default policy with `fields` laid over it, validated."""
    return Policy.model_validate({**DEFAULT_POLICY.model_dump(), "name": "p", **fields})


def curves(codes: frozenset[str]) -> RiskCurves:
    """Return the curves of a banned set."""
    mask = banned_mask(codes, CODES)
    scores = policy_scores(_EVIDENCE, mask)
    return RiskCurves(np.sort(scores[mask[_LABELS]]), np.sort(scores[~mask[_LABELS]]))


def rule(**fields: Any) -> DecisionRule:
    """Return the rule of a policy."""
    made = policy(**fields)
    return DecisionRule(made, curves(made.counted), curves(made.must))


def by_code(row: np.ndarray[Any, Any]) -> dict[str, float]:
    """Return evidence by code."""
    return dict(zip(CODES, row.tolist(), strict=True))
