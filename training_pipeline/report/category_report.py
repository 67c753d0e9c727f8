"""Precision, recall, F1 and support of each category, models side by side, in the form of scikit-learn's report.

All figures come from the confusion matrices of the document, so text and HTML say the same, and a model without an
answer for a chat has missed it.

Invariant: of one model the rows are those of `sklearn.metrics.classification_report` over all categories, with 0 where
a figure is undefined.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from training_pipeline.report.document import ModelReport

_N_MODELS_ABREAST: Final = 3
_WIDTH: Final = 10
"""Characters of a column of figures."""
_DIGITS: Final = 3


@dataclass(frozen=True)
class ReportRow:
    """One row of a model's report; rates are 0..1."""

    name: str
    precision: float | None
    """None in the row of the accuracy, which has one figure."""
    recall: float | None
    f1: float
    support: int


def report_rows(model: ModelReport, groups: Mapping[str, frozenset[str]] | None = None) -> list[ReportRow]:
    """Return the rows of one model: categories, accuracy, macro and weighted mean.

    Args:
        model: Its report.
        groups: Categories that count as one, by the group's name; None counts each by itself.
    """
    codes = list(model.agreed["categories"])
    counts = np.array(model.confusion)
    if groups is not None:
        counts = _merged(counts, codes, groups)
        codes = list(groups)
    right = np.diag(counts).astype(float)
    support, named = counts.sum(axis=1), counts.sum(axis=0)[: len(codes)]
    precision, recall = (_ratio(right, total) for total in (named, support))
    f1 = _ratio(2 * right, named + support)
    figures = np.stack([precision, recall, f1])
    rows = [_row(code, figures[:, i], int(support[i])) for i, code in enumerate(codes)]
    n_chats = int(support.sum())
    rows.append(ReportRow("accuracy", None, None, float(right.sum() / n_chats), n_chats))
    rows.append(_row("macro avg", figures.mean(axis=1), n_chats))
    return [*rows, _row("weighted avg", figures @ support / n_chats, n_chats)]


def _row(name: str, figures: NDArray[np.float64], support: int) -> ReportRow:
    precision, recall, f1 = figures.tolist()
    return ReportRow(name, precision, recall, f1, support)


def banned_groups(codes: Sequence[str], banned: Sequence[str]) -> dict[str, frozenset[str]] | None:
    """Return the binary case; None where it is none: nothing banned, everything, or just two categories."""
    if not banned or len(codes) <= 2 or len(banned) == len(codes):  # noqa: PLR2004
        return None
    return {"safe": frozenset(codes) - frozenset(banned), "banned": frozenset(banned)}


def category_report(models: Sequence[ModelReport], banned: Sequence[str]) -> str:
    """Return the report as text: models abreast, and below it banned against safe where more than two categories are.

    Args:
        models: At least one, all of the same categories.
        banned: Codes that the policy bans.
    """
    groups = banned_groups(list(models[0].agreed["categories"]), banned)
    parts = []
    for start in range(0, len(models), _N_MODELS_ABREAST):
        abreast = models[start : start + _N_MODELS_ABREAST]
        parts += [_block(abreast, None), *([] if groups is None else [_block(abreast, groups)])]
    return "\n".join(parts)


def _merged(counts: NDArray[np.int64], codes: Sequence[str], groups: Mapping[str, frozenset[str]]) -> NDArray[np.int64]:
    """Return the matrix of groups by groups and no answer."""
    members = np.array([[code in group for code in codes] for group in groups.values()], dtype=np.int64)
    rows = members @ counts
    return np.hstack([rows[:, : len(codes)] @ members.T, rows[:, len(codes) :]])


def _ratio(part: NDArray[np.float64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return part / whole, 0 where there is nothing to divide by."""
    return np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)


def _block(models: Sequence[ModelReport], groups: Mapping[str, frozenset[str]] | None) -> str:
    tables = [report_rows(model, groups) for model in models]
    first = max(len("weighted avg"), *(len(row.name) for row in tables[0]))
    width = 3 * _WIDTH
    heads = "".join(f"  {model.identity.name[:width]:>{width}}" for model in models)
    names = "  " + "".join(f"{name:>{_WIDTH}}" for name in ("precision", "recall", "f1-score"))
    lines = [" " * first + heads, " " * first + names * len(models) + f"{'support':>{_WIDTH}}", ""]
    for abreast in zip(*tables, strict=True):
        if abreast[0].name == "accuracy":
            lines.append("")
        cells = "".join("  " + "".join(f"{_figure(value):>{_WIDTH}}" for value in _figures(row)) for row in abreast)
        lines.append(f"{abreast[0].name:>{first}}{cells}{abreast[0].support:>{_WIDTH}}")
    return "\n".join([*lines, ""])


def _figures(row: ReportRow) -> tuple[float | None, float | None, float]:
    return row.precision, row.recall, row.f1


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.{_DIGITS}f}"
