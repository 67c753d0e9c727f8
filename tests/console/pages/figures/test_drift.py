"""Drift of what is counted against the bundle's calibration chats, and the metric."""

import math
from dataclasses import replace

import pytest

from console.metrics import Metrics
from console.operations import Operations
from console.pages.model.drift import DriftFigures, Watched
from console.pages.model.watch import DriftWatch
from console.store.counting import DAY_MS, HOUR_MS, Counted, add_counts
from console.store.store import now_ms
from model import Bundle
from model.figures.lengths import length_counts
from model.policies.rules import rule_over
from schemas import DEFAULT_POLICY
from tests.console.pages.figures.counted import counted, hour_of, put

NOW_MS = 1_796_040_000_000 + 1_800_000


@pytest.fixture
def figures(operations_on_sqlite: Operations, bundle: Bundle) -> DriftFigures:
    """Return the figures of the shipped bundle over an empty database."""
    return DriftFigures(operations_on_sqlite.store, bundle, rule_over(bundle, DEFAULT_POLICY))


def by_what(found: list[Watched]) -> dict[str, Watched]:
    """Return mixes by name."""
    return {one.what: one for one in found}


def test_traffic_like_the_calibration_chats_is_steady(
    figures: DriftFigures, operations_on_sqlite: Operations, bundle: Bundle
) -> None:
    """Each of them once: the index is 0 but for what is added to each count; other policies' scores are no part."""
    put(operations_on_sqlite.store, counted(bundle, hour_of(NOW_MS), 1_395))
    found = by_what(figures.watched(NOW_MS, 24))
    for what in ("category", "score"):
        assert found[what].drift.psi == pytest.approx(0, abs=1e-12)
        assert (found[what].drift.n_expected, found[what].drift.n_found) == (1_395, 1_395)
        assert found[what].drift.level == "steady"
    # Of 3,200 English texts the detector names two as another language.
    language = found["language"].drift
    assert [(kind.key, round(kind.expected, 4)) for kind in language.kinds] == [
        ("calibrated on", 0.9994),
        ("others", 0.0006),
    ]
    assert language.level == "steady"
    assert (found["length"].drift.psi, found["length"].n_unknown) == (None, 140)
    assert "first 7 days are not over" in found["length"].reference


def test_another_mix_raises_the_alert(figures: DriftFigures, operations_on_sqlite: Operations, bundle: Bundle) -> None:
    """All of one category, all in another language."""
    put(operations_on_sqlite.store, counted(bundle, hour_of(NOW_MS), 600, language="de", only="I"))
    found = by_what(figures.watched(NOW_MS, 24))
    assert found["category"].drift.level == "alert"
    assert found["language"].drift.level == "alert"


def test_of_few_verdicts_nothing_is_said(
    figures: DriftFigures, operations_on_sqlite: Operations, bundle: Bundle
) -> None:
    """And hours outside the period are no part of it."""
    put(operations_on_sqlite.store, counted(bundle, hour_of(NOW_MS), 400))
    put(operations_on_sqlite.store, counted(bundle, hour_of(NOW_MS) - 25 * HOUR_MS, 400))
    day, week = by_what(figures.watched(NOW_MS, 24)), by_what(figures.watched(NOW_MS, 168))
    assert (day["category"].drift.n_found, day["category"].drift.level) == (400, "unknown")
    assert (week["category"].drift.n_found, week["category"].drift.level) == (800, "steady")


def test_lengths_are_compared_with_the_first_week(
    figures: DriftFigures, operations_on_sqlite: Operations, bundle: Bundle
) -> None:
    """Where the bundle does not record them."""
    store, first = operations_on_sqlite.store, hour_of(NOW_MS) - 10 * DAY_MS
    put(store, counted(bundle, first, 1_000))
    with store.writing() as connection:
        add_counts(connection, {Counted(hour_of(NOW_MS), "length", "", "50"): 300})
        add_counts(connection, {Counted(hour_of(NOW_MS), "length", "", "6400"): 300})
    length = by_what(figures.watched(NOW_MS, 24))["length"]
    assert "first 7 days" in length.reference
    assert length.drift.level == "alert"
    assert [(kind.key, kind.expected, kind.found) for kind in length.drift.kinds] == [
        ("50", 1.0, 0.5),
        ("6400", 0.0, 0.5),
    ]


def test_lengths_of_the_bundle_go_first(operations_on_sqlite: Operations, bundle: Bundle) -> None:
    """Bundles that are exported now record those of their held-out chats."""
    calibration = {**bundle.manifest.metrics["calibration"], "longest_message": length_counts([60] * 90 + [3_000] * 10)}
    metrics = {**bundle.manifest.metrics, "calibration": calibration}
    newer = replace(bundle, manifest=bundle.manifest.model_copy(update={"metrics": metrics}))
    figures = DriftFigures(operations_on_sqlite.store, newer, rule_over(newer, DEFAULT_POLICY))
    put(operations_on_sqlite.store, counted(bundle, hour_of(NOW_MS), 1_000))
    length = by_what(figures.watched(NOW_MS, 24))["length"]
    assert "100 chats that were held out" in length.reference
    kinds = {kind.key: (kind.expected, kind.found) for kind in length.drift.kinds}
    assert (kinds["50"], kinds["1600"]) == ((0.9, 1.0), (0.1, 0.0))
    assert length.drift.level == "alert"


def test_an_uncalibrated_bundle_that_tells_no_languages_has_no_reference(
    operations_on_sqlite: Operations, bundle: Bundle
) -> None:
    """It says so, and raises nothing."""
    bare = replace(
        bundle,
        manifest=bundle.manifest.model_copy(update={"calibrated": False, "languages": None}),
        calibration_labels=bundle.calibration_labels[:0],
        calibration_probabilities=bundle.calibration_probabilities[:0],
        calibration_evidence=bundle.calibration_evidence[:0],
    )
    figures = DriftFigures(operations_on_sqlite.store, bare, rule_over(bare, DEFAULT_POLICY))
    put(operations_on_sqlite.store, counted(bundle, hour_of(NOW_MS), 600))
    assert {one.drift.level for one in figures.watched(NOW_MS, 24)} == {"unknown"}


def test_the_metric_says_it_and_is_gone_with_the_database(
    figures: DriftFigures, operations_on_sqlite: Operations, bundle: Bundle
) -> None:
    """An alert must not rest on an old value."""
    metrics = Metrics()
    watch = DriftWatch(figures, metrics)

    def psi(what: str) -> float | None:
        return metrics.registry.get_sample_value("moderation_console_drift_psi", {"what": what})

    watch.look()
    assert math.isnan(psi("category") or math.nan)
    put(operations_on_sqlite.store, counted(bundle, hour_of(now_ms()), 600, only="I"))
    watch.start()
    watch.close()
    found = psi("category")
    assert found is not None
    assert found > 0.2
    with operations_on_sqlite.store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE counts")
    watch.look()
    assert psi("category") is None
