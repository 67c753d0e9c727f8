"""Fit what calibrates the logits and prepare the chats behind the conformal guarantee.

The held-out calibration chats are used for two things that must not share a chat: one stratified part fits the
scaling, chooses its kind and weighs the first stage, the other part becomes calibration.json. The guarantee of
`model.calibration` holds because the chats in calibration.json chose nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from model.batching import plan_batches
from model.bundle.manifest import ClassGroup
from model.calibration import (
    FloatArray,
    LogitScaling,
    RiskCurves,
    ScoreArray,
    banned_mask,
    policy_scores,
    softmax,
)
from model.evidence.rule import on_the_wire
from model.inference.session import OnnxSession
from model.tokenization import TokenIds
from schemas import Policy
from training_pipeline.bundle.scaling_fit import (
    Groups,
    ScalingKind,
    choose_kind,
    fit_class_groups,
    fit_temperature,
    negative_log_likelihood,
    scaling_of,
)
from training_pipeline.chats.split import calibration_split
from training_pipeline.quality.metrics import rounded

_MAX_PADDED_TOKENS: Final = 1024
_MAX_ROWS: Final = 64
_BLEND_WEIGHTS: Final = (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Calibration:
    """Outcome of the calibration stage."""

    codes: Sequence[str]
    """Of the output columns."""
    temperature: float
    class_groups: list[ClassGroup] | None
    """In place of the temperature, where they were chosen."""
    labels: NDArray[np.int64]
    """int64 [n_chats], true category of the chats that chose nothing."""
    probabilities: FloatArray
    """float32 [n_chats, n_categories], calibrated, rounded as they are stored."""
    evidence: ScoreArray
    """float64 [n_chats, n_categories], as verdicts hold it, see `model.evidence.rule`."""
    nll_before: float | None
    """Negative log likelihood per chat of the fitting part at temperature 1; None where that is not known."""
    nll_after: float | None
    """The same with the fitted scaling."""
    blend_weight: float | None
    """Of the first stage's logits; None where there is no first stage."""
    nll_cross_validated: dict[str, float]
    """The same by kind of scaling, on folds of the fitting part that did not fit it; empty where nothing was chosen."""

    @property
    def scaling(self) -> LogitScaling:
        """What the bundle will calibrate its logits with."""
        if self.class_groups is None:
            return LogitScaling.single(self.temperature, len(self.codes))
        return scaling_of(self.class_groups, self.codes)

    def summary(self) -> dict[str, Any]:
        """Return the figures for the manifest."""
        return {
            "n_chats": len(self.labels),
            "scaling": (ScalingKind.TEMPERATURE if self.class_groups is None else ScalingKind.CLASS_GROUPS).value,
            "temperature": self.temperature,
            "nll_at_temperature_1": rounded(self.nll_before),
            "nll": rounded(self.nll_after),
            "blend_weight": self.blend_weight,
            "nll_cross_validated": {kind: round(nll, 4) for kind, nll in self.nll_cross_validated.items()},
        }

    def to_json(self) -> bytes:
        """Return the contents of calibration.json."""
        labels = [self.codes[i] for i in self.labels]
        document = {
            "labels": "".join(labels) if all(len(code) == 1 for code in self.codes) else labels,
            "probabilities": on_the_wire(self.probabilities).tolist(),
            "evidence": self.evidence.tolist(),
        }
        return orjson.dumps(document)

    def speaks_for(self, policy: Policy) -> bool:
        """Say whether its chats carry a policy's guarantee: some are banned and some safe, or nothing is banned."""
        truly_banned = banned_mask(policy.banned, self.codes)[self.labels]
        return not policy.banned or (bool(truly_banned.any()) and not truly_banned.all())

    def curves(self, policy: Policy) -> RiskCurves:
        """Return the risk curves that the bundle will have; without any chat where these cannot speak for a policy."""
        mask = banned_mask(policy.banned, self.codes)
        scores, truly_banned = policy_scores(self.evidence, mask), mask[self.labels]
        if not self.speaks_for(policy):
            scores, truly_banned = scores[:0], truly_banned[:0]
        return RiskCurves(np.sort(scores[truly_banned]), np.sort(scores[~truly_banned]))


def session_logits(session: OnnxSession, rows: Sequence[TokenIds]) -> FloatArray:
    """Return logits in the order of `rows`, float32 [n_rows, n_categories], in batches as serving forms them."""
    logits = np.empty((len(rows), session.n_categories), dtype=np.float32)
    lengths = [len(row) for row in rows]
    for batch in plan_batches(lengths, max_padded_tokens=_MAX_PADDED_TOKENS, max_rows=_MAX_ROWS):
        logits[batch] = session.logits([rows[i] for i in batch])
    return logits


@dataclass(frozen=True)
class FirstAnswers:
    """What a first stage says of the held-out chats."""

    logits: FloatArray
    """float32 [n_chats, n_categories], calibrated."""
    are_final: NDArray[np.bool_]
    """bool [n_chats], whether it answers alone."""
    blend_weight: float | None = None
    """Of its logits beside the transformer's; None fits it."""


def calibrate(
    logits: FloatArray,
    labels: NDArray[np.int64],
    groups: Groups,
    *,
    temperature_ratio: float,
    seed: int,
    kind: ScalingKind = ScalingKind.TEMPERATURE,
    first: FirstAnswers | None = None,
    served: FloatArray | None = None,
) -> Calibration:
    """Fit the scaling on one part of the held-out chats, and keep the other part for the guarantee.

    Where a first stage answers alone, the transformer's logits fit nothing: they are not what is served there. What
    leaves the transformer early fits nothing either: its exits are calibrated by themselves, and the scaling is that of
    the chats that stay.

    Args:
        logits: float32 [n_chats, n_categories], of the held-out chats, by the model without exits.
        labels: int64 [n_chats], true column indices.
        groups: Which columns are banned.
        temperature_ratio: Share of the chats that fit the scaling, 0..1.
        seed: Same seed and labels give the same parts.
        kind: One temperature, class groups, or whichever has the better cross-validated likelihood.
        first: What the first stage says, where there is one.
        served: The same by the model that will be served, where that is another one.
    """
    guarantee, fitting = calibration_split(labels, calibration_ratio=temperature_ratio, seed=seed)
    if first is not None and not (~first.are_final[fitting]).any():
        raise ValueError(
            f"the first stage answers all {len(fitting)} held-out chats that would fit the scaling; expected some that "
            "it leaves to the transformer; name more chats, or export with --no-first-stage"
        )
    blend_weight = None
    if first is not None:
        fitting = fitting[~first.are_final[fitting]]
        blend_weight = first.blend_weight
        if blend_weight is None:
            blend_weight = _fit_blend(logits[fitting], first.logits[fitting], labels[fitting])
        logits = logits + np.float32(blend_weight) * first.logits
        served = None if served is None else served + np.float32(blend_weight) * first.logits
    nlls: dict[str, float] = {}
    if kind is ScalingKind.AUTO:
        kind, nlls = choose_kind(logits[fitting], labels[fitting], groups, seed=seed)
    temperature = fit_temperature(logits[fitting], labels[fitting])
    class_groups = None
    if kind is ScalingKind.CLASS_GROUPS and groups.are_two:
        class_groups = fit_class_groups(logits[fitting], labels[fitting], groups)
    plain = LogitScaling.single(temperature, len(groups.codes))
    scaling = plain if class_groups is None else scaling_of(class_groups, groups.codes)
    probabilities = scaling.probabilities(logits if served is None else served)
    if first is not None:
        probabilities = np.where(first.are_final[:, None], softmax(first.logits), probabilities)
    evidence = on_the_wire(probabilities[guarantee])
    return Calibration(
        codes=groups.codes,
        temperature=temperature,
        class_groups=class_groups,
        labels=labels[guarantee],
        probabilities=evidence.astype(np.float32),
        evidence=evidence,
        nll_before=negative_log_likelihood(
            logits[fitting], labels[fitting], LogitScaling.single(1.0, len(groups.codes))
        ),
        nll_after=negative_log_likelihood(logits[fitting], labels[fitting], scaling),
        blend_weight=blend_weight,
        nll_cross_validated=nlls,
    )


def _fit_blend(transformer: FloatArray, first: FloatArray, labels: NDArray[np.int64]) -> float:
    """Return the weight of the first stage's logits with the best likelihood, each with its own best temperature."""

    def cost(weight: float) -> float:
        mixed = transformer + np.float32(weight) * first
        return negative_log_likelihood(
            mixed, labels, LogitScaling.single(fit_temperature(mixed, labels), mixed.shape[1])
        )

    return min(_BLEND_WEIGHTS, key=cost)
