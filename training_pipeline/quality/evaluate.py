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
from schemas import CHAT_13, Decision, Taxonomy, Turn
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.metrics import (
    NO_ANSWER,
    Columns,
    banned_to_safe_at,
    category_figures,
    expected_calibration_error,
    rounded,
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
    """[n_chats, n_categories]; a row of NaN where the model gave no answer."""
    decisions: NDArray[np.str_] | None
    """[n_chats]: allow, review or block; None for a model without calibrated risks."""
    has_scores: bool = True
    """Whether the probabilities are the model's own, and not made from a named category."""
    evidence: NDArray[np.float64] | None = None
    """[n_chats, n_categories], what a policy's score is summed from; the probabilities where None."""
    taxonomy: Taxonomy = CHAT_13
    """Of the columns."""

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def scored(self) -> NDArray[np.float32]:
        """What a policy's score is the sum of, over its banned columns, float32 [n_chats, n_categories]."""
        return self.probabilities if self.evidence is None else self.evidence.astype(np.float32)

    @property
    def summed(self) -> NDArray[np.float64]:
        """The same as verdicts hold it, float64 [n_chats, n_categories]."""
        return self.probabilities.astype(np.float64) if self.evidence is None else self.evidence

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
            self.taxonomy,
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
    probabilities = np.array([list(r.probabilities.values()) for r in results], dtype=np.float32)
    return Predictions(
        labels=chats.labels,
        predicted=probabilities.argmax(axis=1),
        probabilities=probabilities,
        decisions=np.array([r.judgement.decision.value for r in results]),
        evidence=np.array([list(r.evidence.values()) for r in results]),
        taxonomy=classifier.bundle.taxonomy,
    )


def evaluate(classifier: Classifier, chats: LabelledChats) -> dict[str, Any]:
    """Return the figures on the chats whose annotators agree and on all chats, ready for JSON."""
    predictions = predict(classifier, chats)
    banned = classifier.banned_columns
    return {
        "agreed": figures(predictions.take(chats.agreed), banned),
        "all": figures(predictions, banned),
    }


def figures(predictions: Predictions, banned: Columns) -> dict[str, Any]:
    """Return all figures of one set of predictions; rates are 0..1, rounded to four decimals.

    What a model cannot say (probabilities, decisions) is left out.
    """
    labels, predicted, probabilities = predictions.labels, predictions.predicted, predictions.probabilities
    report: dict[str, Any] = safety_metrics(labels, predicted, banned).as_dict()
    if predictions.has_scores:
        for rate in OPERATING_POINTS:
            at_rate = banned_to_safe_at(labels, predictions.scored, banned, safe_to_banned_rate=rate)
            report[f"banned_to_safe_rate_at_safe_to_banned_{rate}"] = rounded(at_rate)
        answered = predicted != NO_ANSWER
        error = expected_calibration_error(labels[answered], probabilities[answered])
        report["expected_calibration_error"] = round(error, 4)
    if predictions.decisions is not None and banned.any():
        truly_banned = banned[labels]
        for group, among in (("banned", truly_banned), ("safe", ~truly_banned)):
            report[f"decisions_{group}"] = {
                decision.value: round(share(predictions.decisions == decision.value, among), 4) for decision in Decision
            }
    report["categories"] = category_figures(labels, predicted, predictions.taxonomy.codes)
    return report


def print_report(report: dict[str, Any], taxonomy: Taxonomy, console: Console) -> None:
    """Print the tables for people; a dash stands where there is no figure."""
    parts = ("agreed", "all")
    table = Table("figure", *(f"{part} chats" for part in parts), title="Figures (rates 0..1)")
    for name, value in report["agreed"].items():
        if not isinstance(value, dict):
            table.add_row(name, *(_shown(report[part][name]) for part in parts))
    for group in ("banned", "safe"):
        for decision in report["agreed"].get(f"decisions_{group}", ()):
            table.add_row(f"{group} -> {decision}", *(str(report[p][f"decisions_{group}"][decision]) for p in parts))
    console.print(table)
    table = Table("category", "precision", "recall", "F1", "chats", title="Categories, agreed chats")
    for code, row in report["agreed"]["categories"].items():
        cells = (_shown(row[name]) for name in ("precision", "recall", "f1", "n_chats"))
        table.add_row(labelled(code, taxonomy), *cells)
    console.print(table)


def _shown(value: float | None) -> str:
    return _MISSING if value is None else str(value)


def labelled(code: str, taxonomy: Taxonomy) -> str:
    """Return code and name of a category, once where the two are the same."""
    name = taxonomy.names[code]
    return code if name == code else f"{code} {name}"
