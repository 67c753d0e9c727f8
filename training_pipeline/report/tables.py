"""What `evaluate` and `compare` print: tables for people, and the short document of the last line for machines."""

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from training_pipeline.quality.evaluate import print_report
from training_pipeline.report.document import (
    Count,
    Difference,
    Evaluation,
    GapSummary,
    Interval,
    ModelComparison,
    ModelReport,
    ProbeFigure,
    ProbeSummary,
    Published,
)
from training_pipeline.report.exact import exact_interval

FIGURE_TITLES: Final = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "weighted_f1": "weighted F1",
    "cross_category_error_rate": "cross-category error",
    "banned_to_safe_rate": "banned → safe",
    "safe_to_banned_rate": "safe → banned",
    "banned_to_safe_rate_at_safe_to_banned_0.029": "banned → safe at 2.9 % safe → banned",
    "banned_to_safe_rate_at_safe_to_banned_0.044": "banned → safe at 4.4 % safe → banned",
    "expected_calibration_error": "expected calibration error",
    "roc_auc": "area under ROC, banned against safe",
}

MISSING: Final = "\u2013"
"""What stands where there is no figure."""

_BULKY: Final = {
    "roc",
    "category_roc",
    "precision_recall",
    "reliability",
    "banned_reliability",
    "confusion",
    "slices",
    "all",
}
"""Left out of the last line; they are in the JSON file."""


def percent(value: float | None, decimals: int = 1) -> str:
    """Return a rate 0..1 as a percentage."""
    return MISSING if value is None else f"{100 * value:.{decimals}f} %"


def n_of(count: Count | None) -> str:
    """Return a count as `n of N (share)`."""
    return MISSING if count is None else f"{count.n} of {count.of} ({percent(count.rate)})"


def spread(figure: Interval | None, decimals: int = 1) -> str:
    """Return an interval's bounds as percentages."""
    if figure is None or figure.low is None or figure.high is None:
        return MISSING
    return f"{100 * figure.low:.{decimals}f} to {100 * figure.high:.{decimals}f} %"


def exact(count: Count | None) -> str:
    """Return the exact 95 % interval of a share as percentages."""
    return MISSING if count is None else spread(exact_interval(count))


def points(gap: float) -> str:
    """Return a difference of shares in points."""
    return f"{100 * gap:+.1f}"


def f1(value: float | None) -> str:
    """Return an F1; a dash for a category without chats."""
    return MISSING if value is None else f"{value:.3f}"


def safety_pair(model: ModelReport) -> tuple[Count | None, Count | None]:
    """Return banned->safe and safe->banned of the most probable category; None for both where nothing is banned."""
    agreed = model.agreed
    if agreed["cross_category_error_rate"] is None:
        return None, None
    return (
        Count(n=agreed["n_banned_to_safe"], of=agreed["n_banned"]),
        Count(n=agreed["n_safe_to_banned"], of=agreed["n_chats"] - agreed["n_banned"]),
    )


def latency(model: ModelReport) -> str:
    """Return p50 / p95 in milliseconds."""
    speed = model.speed
    return MISSING if speed is None or speed.p50_ms is None else f"{speed.p50_ms:.1f} / {speed.p95_ms:.1f}"


def cost(model: ModelReport) -> str:
    """Return what one pass over the chats costs."""
    usage = model.usage
    return MISSING if usage is None or usage.cost_usd is None else f"${usage.cost_usd:.4f}"


def print_evaluation(document: Evaluation, console: Console) -> None:
    """Print one model's tables."""
    model = document.model
    print_report({"agreed": model.agreed, "all": model.all}, document.setting.taxonomy, console)
    table = _table("95 % intervals, agreed chats", "figure", "value", "interval")
    for name, figure in model.intervals.items():
        table.add_row(FIGURE_TITLES[name], percent(figure.value), spread(figure))
    console.print(table)
    if model.attacks:
        console.print(_attack_table(model))
    for kind, rows in model.slices.items():
        table = _table(f"By {kind}", kind, "chats", "accuracy", "banned → safe", "safe → banned")
        for row in rows:
            pair = (n_of(row.banned_to_safe), n_of(row.safe_to_banned))
            table.add_row(row.name, str(row.n_chats), percent(row.accuracy), *pair)
        console.print(table)
    if model.speed is not None:
        console.print(
            f"p50 / p95 {latency(model)} ms a chat; {model.speed.chats_per_s} chats/s in calls of "
            f"{model.speed.n_chats_per_call}; {document.setting.machine}",
            highlight=False,
        )


def _attack_table(model: ModelReport) -> Table:
    table = _table("Banned chats under disguise", "disguise", "still called banned", "95 %", "answered allow", "95 %")
    for attack in model.attacks:
        recalled, allowed = attack.recalled, attack.allowed
        table.add_row(attack.kind, n_of(recalled), exact(recalled), n_of(allowed), exact(allowed))
    return table


def print_comparison(document: ModelComparison, console: Console) -> None:
    """Print the models side by side, their differences, and published figures apart."""
    setting = document.setting
    table = _table(
        f"{setting.n_agreed} agreed chats, {setting.n_banned} banned",
        *("model", "accuracy", "macro F1", "cross-category", "banned → safe", "safe → banned"),
        *("p50 / p95 ms", "cost", "no answer"),
    )
    for model in document.models:
        agreed = model.agreed
        rates = (percent(agreed["accuracy"], 2), f"{agreed['macro_f1']:.3f}")
        cross = percent(agreed["cross_category_error_rate"], 2)
        pair = map(n_of, safety_pair(model))
        rest = (latency(model), cost(model), str(model.n_without_answer))
        table.add_row(model.identity.name, *rates, cross, *pair, *rest)
    console.print(table)
    if document.differences:
        console.print(_difference_table(document.differences))
    if document.probes:
        print_probe_summaries(document.probes, console)
    if document.published is not None:
        console.print(_published_table(document.published))


def print_probe_summaries(summaries: Sequence[ProbeSummary], console: Console) -> None:
    """Print the main figures of the probes, a column for each bundle."""
    table = _table("Probes, exact 95 % intervals", "figure", *(one.model for one in summaries))
    for figure in summaries[0].figures:
        table.add_row(figure.title, *(_probe_cell(one.named(figure.title)) for one in summaries))
    for gap in summaries[0].gaps:
        title = f"largest identity gap in points, {gap.place}"
        table.add_row(title, *(_gap_cell(one.at(gap.where)) for one in summaries))
    console.print(table)


def _probe_cell(figure: ProbeFigure | None) -> str:
    return MISSING if figure is None else f"{n_of(figure.count)}\n{spread(figure.rate)}"


def _gap_cell(gap: GapSummary | None) -> str:
    if gap is None:
        return MISSING
    mine = f"allowed {n_of(gap.identity)}, {spread(gap.identity_rate)}"
    return f"{points(gap.gap)} ({gap.words})\n{mine}\nneutral {n_of(gap.neutral)}, {spread(gap.neutral_rate)}"


def _difference_table(rows: Sequence[Difference]) -> Table:
    title = f"Against {rows[0].baseline}, in points"
    table = _table(
        title, "model", "figure", "difference", "95 % interval", "only it errs", "only baseline", "McNemar p"
    )
    for row in rows:
        only = [MISSING if n is None else str(n) for n in (row.n_only_model_wrong, row.n_only_baseline_wrong)]
        p_value = MISSING if row.p_value is None else f"{row.p_value:.3f}"
        points = f"{100 * row.difference.value:+.1f}"
        table.add_row(row.model, FIGURE_TITLES[row.figure], points, spread(row.difference), *only, p_value)
    return table


def _published_table(published: Published) -> Table:
    title = "Published by others on another test set: not measured here"
    names = ("model", "accuracy", "macro F1", "cross-category", "banned → safe", "safe → banned")
    table = _table(title, *names)
    for row in published.rows:
        rates = (percent(row.accuracy, 2), f1(row.macro_f1), percent(row.cross_category_error_rate, 2))
        table.add_row(row.name, *rates, n_of(row.banned_to_safe), n_of(row.safe_to_banned))
    table.caption = f"{published.source}; {published.test_set}"
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title)
    for name in others:
        table.add_column(name, justify="right")
    return table


def short(model: ModelReport) -> dict[str, Any]:
    """Return a model's report without its curves and slices."""
    return model.model_dump(mode="json", exclude=_BULKY)
