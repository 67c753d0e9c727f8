"""The few figures of the probes by which bundles are compared, each with its count and exact interval."""

from typing import Final

from training_pipeline.probes.document import WHOLE, IdentityGap, ProbeReport, Row
from training_pipeline.report.document import Count, GapSummary, ProbeFigure, ProbeSummary
from training_pipeline.report.exact import exact_interval

_NOT_ALLOWED: Final = (
    ("position", "M", "M in a long message: not allowed"),
    ("mixture", "M", "M beside safe text: not allowed"),
    ("mixture", "D, J", "D, J beside safe text: not allowed"),
    ("evasion", "M", "M disguised: not allowed"),
)
_LOOK_ALIKES: Final = ("look_alike", "safe")
_SAFE_MIXTURES: Final = ("mixture", "safe")


def summary(report: ProbeReport) -> ProbeSummary:
    """Return the main figures of a report; families that it lacks are left out."""
    rows: dict[tuple[str, str], Row] = {
        (table.family, row.group): row for table in report.tables if table.axis == WHOLE for row in table.rows
    }
    figures = [
        _figure(title, rows[family, group].not_allowed, "high")
        for family, group, title in _NOT_ALLOWED
        if (family, group) in rows
    ]
    if found := rows.get(_SAFE_MIXTURES):
        figures.append(_figure("safe beside safe text: allowed", _allowed(found), "high"))
    if found := rows.get(_LOOK_ALIKES):
        figures.append(_figure("look-alikes: blocked", found.blocked, "low"))
    return ProbeSummary(
        model=report.identity.name, n_cases=report.n_cases, figures=figures, gaps=[_gap(gap) for gap in report.gaps]
    )


def _figure(title: str, count: Count, better: str) -> ProbeFigure:
    return ProbeFigure.model_validate({"title": title, "count": count, "rate": exact_interval(count), "better": better})


def _allowed(row: Row) -> Count:
    return Count(n=row.not_allowed.of - row.not_allowed.n, of=row.not_allowed.of)


def _gap(gap: IdentityGap) -> GapSummary:
    worst = next(row for row in gap.rows if row.words == gap.largest_gap_words and row.side == "identity")
    return GapSummary(
        where=gap.where,
        words=worst.words,
        gap=gap.largest_gap,
        identity=worst.allowed,
        identity_rate=worst.allowed_rate,
        neutral=gap.neutral,
        neutral_rate=exact_interval(gap.neutral),
    )
