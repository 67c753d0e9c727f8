"""Give a bundle without pieces its evidence rule, and the calibration that goes with it, through the serving classes.

The part of the held-out chats that fits everything else fits the weights, as it is and in mixtures; the other part only
gets its evidence, so that the chats in calibration.json still choose nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from model.bundle.bundle import Bundle
from model.calibration import FloatArray, ScoreArray, banned_mask
from model.classifier import Classifier
from model.evidence.pieces import PieceRule, pieces_of
from model.evidence.rule import EvidenceRule
from schemas import Turn
from training_pipeline.bundle.scaling_fit import Groups
from training_pipeline.chats.held_out import FITTING_RATIO
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.chats.split import calibration_split
from training_pipeline.evidence.mixtures import MIXTURES, mixed, safe_pastes
from training_pipeline.evidence.piece_weights import Answers, FittedWeights, fit_piece_weights
from training_pipeline.quality.evaluate import classify_all

_DECIMALS: Final = 4


@dataclass(frozen=True)
class FittedEvidence:
    """What makes a bundle read pieces."""

    rule: EvidenceRule
    weights: FittedWeights
    n_fitting: int
    """Chats that fitted the weights."""
    n_with_pieces: int
    """Calibration chats that have any."""
    probabilities: FloatArray
    """float32 [n_chats, n_categories], of the calibration chats' main windows, as verdicts hold them."""
    evidence: ScoreArray
    """float64 [n_chats, n_categories], of the same chats."""

    def summary(self) -> dict[str, Any]:
        """Return the figures for the manifest."""
        without, with_pieces = (
            {name: round(value, _DECIMALS) for name, value in asdict(found).items()}
            for found in (self.weights.without, self.weights.with_pieces)
        )
        return {
            "n_chats_fitting": self.n_fitting,
            "n_calibration_chats_with_pieces": self.n_with_pieces,
            "without_pieces": without,
            "with_pieces": with_pieces,
        }


def fit_evidence(
    bundle: Bundle,
    held_out: LabelledChats,
    pieces: PieceRule,
    *,
    seed: int,
    n_threads: int,
    weights: Mapping[str, float] | None = None,
) -> FittedEvidence:
    """Fit the weights of pieces and compute the evidence of the calibration chats.

    Args:
        bundle: Without pieces, calibrated on these chats.
        held_out: The chats that its training never saw.
        pieces: How conversations are cut.
        seed: Of the run: decides which of the chats calibrate.
        n_threads: Inference threads.
        weights: Those that are given and not fitted, by category code.
    """
    guarantee, fitting = calibration_split(held_out.labels, calibration_ratio=FITTING_RATIO, seed=seed)
    own = held_out.take(fitting)
    codes, policy = bundle.taxonomy.codes, bundle.default_policy
    groups = Groups(codes, banned_mask(policy.banned, codes))
    whole = Classifier(_with_weights(bundle, pieces, np.ones(len(codes))), policy, n_threads=n_threads)
    natural = _answers(whole, own, own.conversations)
    is_banned = groups.banned[own.labels]
    pastes = safe_pastes(own, ~is_banned)
    mixable = own.take(_balanced(is_banned, seed))
    parts = [
        _answers(whole, mixable, mixed(mixable, kind, pastes, seed=seed + position))
        for position, kind in enumerate(MIXTURES)
    ]
    mixtures = Answers(*(np.concatenate(column) for column in zip(*map(_columns, parts), strict=True)))
    fitted = fit_piece_weights(natural, mixtures, groups, weights)
    kept = held_out.take(guarantee)
    # Through the classes that serve it, not weighted afterwards: that would round a piece twice, and break ties.
    served = Classifier(_with_weights(bundle, pieces, fitted.weights), policy, n_threads=n_threads)
    calibration = _answers(served, kept, kept.conversations)
    windowing = bundle.manifest.windowing
    return FittedEvidence(
        rule=_rule(pieces, fitted.weights, codes),
        weights=fitted,
        n_fitting=len(own),
        n_with_pieces=sum(bool(pieces_of(turns, pieces, windowing).texts) for turns in kept.conversations),
        probabilities=calibration.windows.astype(np.float32),
        evidence=calibration.pieces,
    )


def _balanced(is_banned: NDArray[np.bool_], seed: int) -> NDArray[np.int64]:
    """Return the positions of the banned chats and of as many safe ones, where there are so many."""
    safe = np.random.default_rng(seed).permutation(np.flatnonzero(~is_banned))
    return np.sort(np.concatenate([np.flatnonzero(is_banned), safe[: int(is_banned.sum())]]))


def _columns(answers: Answers) -> tuple[Any, Any, Any]:
    return answers.labels, answers.windows, answers.pieces


def _rule(pieces: PieceRule, weights: ScoreArray, codes: Sequence[str]) -> EvidenceRule:
    return EvidenceRule(pieces=pieces, weights=dict(zip(codes, weights.tolist(), strict=True)))


def _with_weights(bundle: Bundle, pieces: PieceRule, weights: ScoreArray) -> Bundle:
    """Return the bundle with pieces that count this much; its decisions mean nothing."""
    changed = {"format_version": 2, "evidence": _rule(pieces, weights, bundle.taxonomy.codes)}
    return replace(bundle, manifest=bundle.manifest.model_copy(update=changed))


def _answers(classifier: Classifier, chats: LabelledChats, conversations: Sequence[Sequence[Turn]]) -> Answers:
    results = classify_all(classifier, conversations, chats.chat_ids)
    windows, pieces = (
        np.array([list(row.values()) for row in rows])
        for rows in ([r.probabilities for r in results], [r.evidence for r in results])
    )
    return Answers(chats.labels, windows, pieces)
