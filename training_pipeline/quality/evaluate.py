"""Measure a bundle on labelled chats, through the very classes that serve it.

These are the figures of a manifest; `training_pipeline.report` adds intervals, curves, attacks, slices and speed.

Invariant: nothing here knows torch; a figure in a manifest is what a worker with that bundle would have answered.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from model.classifier import Classifier
from model.errors import RowFailed
from model.evidence.judging import Classification
from schemas import CATEGORY_NAMES, CODES, Decision, Turn
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.metrics import (
    NO_ANSWER,
    banned_columns,
    banned_to_safe_at,
    category_figures,
    expected_calibration_error,
    safety_metrics,
    share,
)

OPERATING_POINTS: Final = (0.029, 0.044)
"""safe->banned rates at which banned->safe is compared with the models of the seed."""

_CHUNK_CHATS: Final = 512

_MISSING: Final = "\u2013"


OnProgress = Callable[[int], None]
"""Called with the number of chats that are done."""


@dataclass(frozen=True)
class Predictions:
    """What a model said of labelled chats, aligned by position."""

    labels: NDArray[np.int64]
    """[n_chats], true column indices."""
    predicted: NDArray[np.int64]
    """[n_chats], column indices; `NO_ANSWER` where the model gave none."""
    probabilities: NDArray[np.float32]
    """[n_chats, 13]; a row of NaN where the model gave no answer."""
    decisions: NDArray[np.str_] | None
    """[n_chats]: allow, review or block; None for a model without calibrated risks."""
    has_scores: bool = True
    """Whether the probabilities are the model's own, and not made from a named category."""
    evidence: NDArray[np.float64] | None = None
    """[n_chats, 13], what a policy's score is summed from; the probabilities where None."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def scored(self) -> NDArray[np.float32]:
        """What a policy's score is the sum of, over its banned columns, float32 [n_chats, 13]."""
        return self.probabilities if self.evidence is None else self.evidence.astype(np.float32)

    def decided(self, decision: Decision) -> NDArray[np.bool_]:
        """Return the chats with this decision, [n_chats].

        Raises:
            ValueError: the model has no calibrated risks, so that nothing was decided.
        """
        if self.decisions is None:
            raise ValueError("the model states no risks, so no chat has a decision; expected a bundle")
        return np.asarray(self.decisions == decision.value, dtype=np.bool_)

    def take(self, mask: NDArray[np.bool_]) -> "Predictions":
        """Return the chats for which the mask holds."""
        return Predictions(
            self.labels[mask],
            self.predicted[mask],
            self.probabilities[mask],
            None if self.decisions is None else self.decisions[mask],
            self.has_scores,
            None if self.evidence is None else self.evidence[mask],
        )


def classify_all(
    classifier: Classifier,
    conversations: Sequence[Sequence[Turn]],
    chat_ids: Sequence[str],
    on_progress: OnProgress | None = None,
) -> list[Classification]:
    """Classify conversations as the worker would.

    Raises:
        ValueError: the model failed on a chat.
    """
    results: list[Classification] = []
    for start in range(0, len(conversations), _CHUNK_CHATS):
        answers, _ = classifier.classify(conversations[start : start + _CHUNK_CHATS])
        for chat_id, answer in zip(chat_ids[start:], answers, strict=False):
            if isinstance(answer, RowFailed):
                raise ValueError(f"chat {chat_id}: the model failed ({answer.error}); expected a verdict")  # noqa: TRY004
            results.append(answer)
        if on_progress is not None:
            on_progress(len(results))
    return results


def predict(classifier: Classifier, chats: LabelledChats, on_progress: OnProgress | None = None) -> Predictions:
    """Classify labelled chats as the worker would.

    Raises:
        ValueError: the model failed on a chat.
    """
    results = classify_all(classifier, chats.conversations, chats.chat_ids, on_progress)
    probabilities = np.array([[r.probabilities[code] for code in CODES] for r in results], dtype=np.float32)
    has_evidence = classifier.bundle.manifest.format_version > 1
    return Predictions(
        labels=chats.labels,
        predicted=probabilities.argmax(axis=1),
        probabilities=probabilities,
        decisions=np.array([r.judgement.decision.value for r in results]),
        evidence=np.array([[r.evidence[code] for code in CODES] for r in results]) if has_evidence else None,
    )


def evaluate(classifier: Classifier, chats: LabelledChats) -> dict[str, Any]:
    """Return the figures on the chats whose annotators agree and on all chats, ready for JSON."""
    predictions = predict(classifier, chats)
    banned = frozenset(code.value for code in classifier.policy.banned)
    return {
        "agreed": figures(predictions.take(chats.agreed), banned),
        "all": figures(predictions, banned),
    }


def figures(predictions: Predictions, banned: frozenset[str]) -> dict[str, Any]:
    """Return all figures of one set of predictions; rates are 0..1, rounded to four decimals.

    What a model cannot say (probabilities, decisions) is left out.
    """
    labels, predicted, probabilities = predictions.labels, predictions.predicted, predictions.probabilities
    report: dict[str, Any] = safety_metrics(labels, predicted, banned).as_dict()
    if predictions.has_scores:
        for rate in OPERATING_POINTS:
            at_rate = banned_to_safe_at(labels, predictions.scored, banned, safe_to_banned_rate=rate)
            report[f"banned_to_safe_rate_at_safe_to_banned_{rate}"] = round(at_rate, 4)
        answered = predicted != NO_ANSWER
        error = expected_calibration_error(labels[answered], probabilities[answered])
        report["expected_calibration_error"] = round(error, 4)
    if predictions.decisions is not None:
        truly_banned = banned_columns(banned)[labels]
        for group, among in (("banned", truly_banned), ("safe", ~truly_banned)):
            report[f"decisions_{group}"] = {
                decision.value: round(share(predictions.decisions == decision.value, among), 4) for decision in Decision
            }
    report["categories"] = category_figures(labels, predicted)
    return report


def print_report(report: dict[str, Any], console: Console) -> None:
    """Print the tables for people."""
    parts = ("agreed", "all")
    table = Table("figure", *(f"{part} chats" for part in parts), title="Figures (rates 0..1)")
    for name, value in report["agreed"].items():
        if not isinstance(value, dict):
            table.add_row(name, *(str(report[part][name]) for part in parts))
    for group in ("banned", "safe"):
        for decision in report["agreed"].get(f"decisions_{group}", ()):
            table.add_row(f"{group} -> {decision}", *(str(report[p][f"decisions_{group}"][decision]) for p in parts))
    console.print(table)
    table = Table("category", "precision", "recall", "F1", "chats", title="Categories, agreed chats")
    for code, row in report["agreed"]["categories"].items():
        cells = (_MISSING if row[name] is None else str(row[name]) for name in ("precision", "recall", "f1", "n_chats"))
        table.add_row(f"{code} {CATEGORY_NAMES[code]}", *cells)
    console.print(table)
