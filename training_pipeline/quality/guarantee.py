"""Is the conformal guarantee real? Measured on chats that chose nothing, against what theory says exactly.

Two checks:

- Repeated splits of labelled chats into a calibration and a fresh part: thresholds come from the one, error rates from
  the other. With n calibration chats of one side and target a, a fresh chat of that side is let through with
  probability floor(a (n + 1)) / (n + 1), at most a; and of m fresh ones, a beta-binomial number is
  (Vovk 2012, Angelopoulos and Bates 2023, section 3.2). Ties can only lower it.
- A bundle's own curves on labelled chats that did not make them: the rate with its exact Clopper-Pearson interval, and
  the probability of as many errors or more if the guarantee holds.

Invariant: rates are those of the risk curves alone, without the guard on the most probable category (`model.decision`),
which can only lower the banned->safe rate.
Source: Conformal Risk Control (ICLR 2024), theorem 1, for the 0/1 loss; Vovk, Conditional validity of inductive
conformal predictors (2012); Clopper and Pearson (1934), as scipy computes it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import betabinom, binomtest
from sklearn.model_selection import StratifiedShuffleSplit

from model.calibration import RiskCurves, ScoreArray, banned_mask, policy_scores
from schemas import Policy

QUANTILES: Final = (0.05, 0.5, 0.95)
_CONFIDENCE: Final = 0.95
_SIGNIFICANCE: Final = 0.01
"""A bundle is said to break its promise only where so many errors would be rarer than this."""
_DECIMALS: Final = 4


class ErrorKind(StrEnum):
    """The two errors of the safety pair."""

    BANNED_TO_SAFE = "banned->safe"
    SAFE_TO_BANNED = "safe->banned"


@dataclass(frozen=True)
class SplitCheck:
    """One kind of error over repeated splits. Rates 0..1."""

    error: ErrorKind
    target: float
    n_calibration: int
    """Calibration chats of the error's true side, in every split."""
    n_fresh: int
    expected_rate: float
    """Exact, where no two scores tie; below the target, because n chats allow only n + 1 rates."""
    mean_rate: float
    standard_error: float
    """Of the mean, over random splits of these chats."""
    expected_quantiles: list[float]
    quantiles: list[float]
    """At 5 %, 50 % and 95 %."""

    @property
    def holds(self) -> bool:
        """Whether the mean over splits is within the target, up to the randomness of the splits."""
        return self.mean_rate <= self.target + 3 * self.standard_error


@dataclass(frozen=True)
class BundleCheck:
    """One kind of error of a bundle's own curves on chats that did not make them. Rates 0..1."""

    error: ErrorKind
    target: float
    n_calibration: int
    n_fresh: int
    n_errors: int
    rate: float
    low: float
    high: float
    """Clopper-Pearson, 95 %."""
    probability_of_as_many: float
    """Of so many errors or more, if these chats are exchangeable with the calibration chats."""

    @property
    def holds(self) -> bool:
        """Whether the chats leave the promise standing; few chats contradict nothing."""
        return self.probability_of_as_many >= _SIGNIFICANCE


def expected_rate(n_calibration: int, target: float) -> float:
    """Return the exact chance that a fresh chat is let through, for scores without ties."""
    return _n_below(n_calibration, target) / (n_calibration + 1)


def error_distribution(n_calibration: int, n_fresh: int, target: float) -> Any:
    """Return the distribution of errors among fresh chats, for scores without ties (scipy, frozen).

    A fresh chat is an error where it falls below the k-th smallest of n calibration scores, k = floor(a (n + 1)); the
    share of all chats below that one is Beta(k, n + 1 - k).
    """
    k = _n_below(n_calibration, target)
    if k == 0:
        return betabinom(0, 1, 1)
    return betabinom(n_fresh, k, n_calibration + 1 - k)


def _n_below(n_calibration: int, target: float) -> int:
    # The risks are m / (n + 1) for whole m; compared as `model.decision` compares them, in floating point.
    k = math.floor(target * (n_calibration + 1))
    while (k + 1) / (n_calibration + 1) <= target:
        k += 1
    while k > 0 and k / (n_calibration + 1) > target:
        k -= 1
    return k


def check_by_splits(
    evidence: ScoreArray,
    labels: NDArray[np.int64],
    policy: Policy,
    codes: Sequence[str],
    *,
    n_splits: int,
    calibration_ratio: float = 0.5,
    seed: int = 0,
) -> list[SplitCheck]:
    """Split chats again and again, choose on one part and measure on the other.

    Args:
        evidence: float64 [n_chats, n_categories], of chats that neither training nor scaling saw.
        labels: int64 [n_chats], true column indices.
        policy: Banned categories and targets.
        codes: Of the columns.
        n_splits: Number of splits, stratified by banned and safe.
        calibration_ratio: Share of the chats in the calibration part, 0..1.
        seed: Same seed and chats give the same splits.

    Raises:
        ValueError: there are fewer than two banned or two safe chats.
    """
    banned = banned_mask(policy.banned, codes)
    truly_banned = banned[labels]
    if min(int(truly_banned.sum()), int((~truly_banned).sum())) < 2:  # noqa: PLR2004  one for each part
        raise ValueError(f"{int(truly_banned.sum())} banned of {len(labels)} chats; expected two of each side or more")
    scores = policy_scores(evidence, banned)
    splitter = StratifiedShuffleSplit(n_splits, train_size=calibration_ratio, random_state=seed)
    rates: dict[ErrorKind, list[float]] = {kind: [] for kind in ErrorKind}
    counts: dict[ErrorKind, tuple[int, int]] = {}
    for chosen, fresh in splitter.split(scores, truly_banned):
        curves = RiskCurves.build(scores[chosen], truly_banned[chosen])
        for kind in ErrorKind:
            own_fresh = scores[fresh[truly_banned[fresh] == (kind is ErrorKind.BANNED_TO_SAFE)]]
            errors = _errors(kind, own_fresh, curves, policy)
            rates[kind].append(float(errors.mean()))
            counts[kind] = (_n_calibration(kind, curves), len(own_fresh))
    return [_split_check(kind, counts[kind], np.array(rates[kind]), policy) for kind in ErrorKind]


def check_bundle(
    curves: RiskCurves,
    evidence: ScoreArray,
    labels: NDArray[np.int64],
    policy: Policy,
    codes: Sequence[str],
) -> list[BundleCheck]:
    """Measure a bundle's own curves on labelled chats that did not make them; a side without chats is left out."""
    banned = banned_mask(policy.banned, codes)
    truly_banned = banned[labels]
    scores = policy_scores(evidence, banned)
    checks = []
    for kind in ErrorKind:
        own = scores[truly_banned == (kind is ErrorKind.BANNED_TO_SAFE)]
        if len(own):
            checks.append(_bundle_check(kind, int(_errors(kind, own, curves, policy).sum()), len(own), curves, policy))
    return checks


def _errors(kind: ErrorKind, scores: ScoreArray, curves: RiskCurves, policy: Policy) -> NDArray[np.bool_]:
    """Return which scores the curves let through to the wrong side, as `model.decision` asks them."""
    risk = curves.banned_to_safe_risk if kind is ErrorKind.BANNED_TO_SAFE else curves.safe_to_banned_risk
    return np.array([risk(float(score)) for score in scores]) <= _target(kind, policy)


def _target(kind: ErrorKind, policy: Policy) -> float:
    return policy.max_banned_to_safe_rate if kind is ErrorKind.BANNED_TO_SAFE else policy.max_safe_to_banned_rate


def _n_calibration(kind: ErrorKind, curves: RiskCurves) -> int:
    return len(curves.banned_scores if kind is ErrorKind.BANNED_TO_SAFE else curves.safe_scores)


def _split_check(kind: ErrorKind, counts: tuple[int, int], rates: NDArray[np.float64], policy: Policy) -> SplitCheck:
    n_calibration, n_fresh = counts
    target = _target(kind, policy)
    expected = error_distribution(n_calibration, n_fresh, target)
    return SplitCheck(
        error=kind,
        target=target,
        n_calibration=n_calibration,
        n_fresh=n_fresh,
        expected_rate=round(expected_rate(n_calibration, target), _DECIMALS),
        mean_rate=round(float(rates.mean()), _DECIMALS),
        standard_error=round(float(rates.std(ddof=1)) / math.sqrt(len(rates)), 5) if len(rates) > 1 else math.inf,
        expected_quantiles=[round(float(expected.ppf(q)) / n_fresh, _DECIMALS) for q in QUANTILES],
        quantiles=[round(float(q), _DECIMALS) for q in np.quantile(rates, QUANTILES)],
    )


def _bundle_check(kind: ErrorKind, n_errors: int, n_fresh: int, curves: RiskCurves, policy: Policy) -> BundleCheck:
    interval = binomtest(n_errors, n_fresh).proportion_ci(_CONFIDENCE, method="exact")
    n_calibration, target = _n_calibration(kind, curves), _target(kind, policy)
    as_many = error_distribution(n_calibration, n_fresh, target).sf(n_errors - 1)
    return BundleCheck(
        error=kind,
        target=target,
        n_calibration=n_calibration,
        n_fresh=n_fresh,
        n_errors=n_errors,
        rate=round(n_errors / n_fresh, _DECIMALS),
        low=round(float(interval.low), _DECIMALS),
        high=round(float(interval.high), _DECIMALS),
        probability_of_as_many=round(float(as_many), _DECIMALS),
    )
