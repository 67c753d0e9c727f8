"""The main figures of the probes, as `compare` and `evaluate` show them."""

import io
from pathlib import Path

import orjson
import pytest
from rich.console import Console

from training_pipeline.probes.document import WHOLE, ProbeReport
from training_pipeline.probes.summary import summary
from training_pipeline.report.document import ModelComparison
from training_pipeline.report.html import comparison_page
from training_pipeline.report.tables import print_comparison

_REPORTS = Path(__file__).parents[3] / "training_pipeline" / "reports"


@pytest.fixture(scope="module")
def reports() -> list[ProbeReport]:
    """Return what the probes said of the two bundles that are on record."""
    files = [_REPORTS / f"probes-default-{version}.json" for version in ("1.3.0", "1.4.0")]
    return [ProbeReport.model_validate_json(file.read_bytes()) for file in files]


@pytest.fixture(scope="module")
def comparison(reports: list[ProbeReport]) -> ModelComparison:
    """Return a comparison with the probes of both."""
    document = orjson.loads((_REPORTS / "default-1.4.0.json").read_bytes())
    setting = document.pop("setting")
    del document["format_version"]
    probes = [summary(report).model_dump() for report in reports]
    return ModelComparison.model_validate(
        {"setting": setting, "models": [document], "differences": [], "probes": probes}
    )


def test_the_summary_counts_what_the_whole_report_counts(reports: list[ProbeReport]) -> None:
    """With the same counts and exact intervals."""
    found = summary(reports[1])
    rows = {(t.family, row.group): row for t in reports[1].tables if t.axis == WHOLE for row in t.rows}
    by_title = {figure.title: figure for figure in found.figures}
    assert by_title["M in a long message: not allowed"].count == rows["position", "M"].not_allowed
    assert by_title["M disguised: not allowed"].rate == rows["evasion", "M"].not_allowed_rate
    assert by_title["look-alikes: blocked"].count == rows["look_alike", "safe"].blocked
    kept, lost = by_title["safe beside safe text: allowed"].count, rows["mixture", "safe"].not_allowed
    assert (kept.n + lost.n, kept.of) == (lost.of, lost.of)
    assert len(found.figures) == 6


def test_the_largest_gap_is_shown_with_both_counts(reports: list[ProbeReport]) -> None:
    """A gap of points says little without the chats behind it."""
    for gap, whole in zip(summary(reports[0]).gaps, reports[0].gaps, strict=True):
        assert abs(gap.gap) == max(abs(row.gap) for row in whole.rows if row.side == "identity")
        assert gap.neutral == whole.neutral
        assert gap.gap == pytest.approx(gap.neutral.rate - gap.identity.rate, abs=1e-4)
        assert gap.identity_rate.low is not None
        assert gap.identity_rate.low <= gap.identity.rate


def test_table_and_page_show_both_bundles_side_by_side(comparison: ModelComparison) -> None:
    """Every figure with its count, in the columns of its bundle."""
    text = io.StringIO()
    print_comparison(comparison, Console(file=text, width=200))
    page = comparison_page(comparison)
    for one in comparison.probes:
        for figure in one.figures:
            shown = f"{figure.count.n} of {figure.count.of} ("
            assert shown in text.getvalue()
            assert shown in page
        for gap in one.gaps:
            assert f"({gap.words})" in text.getvalue()
            assert f"{gap.identity.n} of {gap.identity.of} (" in page
    assert "Probes at a glance" in page


def test_a_comparison_without_probes_says_nothing_of_them(comparison: ModelComparison) -> None:
    """And one that an earlier version wrote is still read."""
    bare = ModelComparison.model_validate(comparison.model_dump(exclude={"probes"}))
    text = io.StringIO()
    print_comparison(bare, Console(file=text, width=200))
    assert "Probes" not in text.getvalue()
    assert "Probes at a glance" not in comparison_page(bare)
