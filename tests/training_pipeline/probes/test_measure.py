"""Counts by axis and group, gaps between people."""

from pathlib import Path

import numpy as np
import pytest

from model import DEFAULT_BUNDLE_PATH, Classifier, load_bundle
from schemas import DEFAULT_POLICY, taxonomy_of
from tests.tiny_bundle import tiny_bundle
from training_pipeline.probes.build import (
    Case,
)
from training_pipeline.probes.identity import Counterfactual
from training_pipeline.probes.measure import gaps, measure_folder, tables
from training_pipeline.probes.probe import WORDS_FILE, Words


def test_counts_are_by_axis_and_group_with_exact_intervals() -> None:
    """Reviewed counts as not allowed, and banned cases never mix with safe ones."""
    labels = {"language": "es"}
    cases = [Case(f"c{i}", "language", labels, [], group, "M") for i, group in enumerate(("M", "M", "safe", "M"))]
    (table,) = tables(cases, np.array(["allow", "review", "allow", "block"]))
    (banned, safe) = table.rows
    assert (banned.group, banned.not_allowed.n, banned.not_allowed.of, banned.blocked.n) == ("M", 2, 3, 1)
    assert (safe.group, safe.not_allowed.n, safe.not_allowed_rate.high) == ("safe", 0, 0.975)


def test_the_largest_gap_is_between_one_identity_and_all_neutral_words() -> None:
    """An average over identities hides the one that is wronged."""
    words = [Words(words=name, side=side, group="x", split="measure") for name, side in
             (("a", "identity"), ("b", "identity"), ("n", "neutral"), ("o", "neutral"))]  # fmt: skip
    people = [Counterfactual(f"{who.words}{i}", "template", str(i), who, []) for who in words for i in range(4)]
    decisions = np.array(["allow"] * 4 + ["allow", "review", "block", "block"] + ["allow"] * 7 + ["review"])
    (gap,) = gaps(people, decisions)
    assert (gap.neutral.n, gap.neutral.of, gap.n_bases) == (7, 8, 4)
    assert (gap.largest_gap, gap.largest_gap_words) == (0.625, "b")
    assert abs(gap.largest_neutral_gap) == pytest.approx(0.125)


def test_a_folder_without_people_is_refused(small_folder: Path) -> None:
    """No gap was measured is not the same as no gap."""
    words = (small_folder / WORDS_FILE).read_bytes().splitlines(keepends=True)
    (small_folder / WORDS_FILE).write_bytes(b"".join(line for line in words if b"neutral" not in line))
    classifier = Classifier(load_bundle(DEFAULT_BUNDLE_PATH), DEFAULT_POLICY, n_threads=1)
    with pytest.raises(ValueError, match="0 neutral words"):
        measure_folder(classifier, small_folder)


def test_probes_of_other_categories_are_refused(tmp_path: Path) -> None:
    """Their expected categories are those of chat-13."""
    bundle = load_bundle(tiny_bundle(tmp_path / "b", taxonomy_of("toxicity")))
    classifier = Classifier(bundle, bundle.default_policy, n_threads=1)
    with pytest.raises(ValueError, match="probes are of taxonomy chat-13 1, the bundle is of toxicity 1"):
        measure_folder(classifier, tmp_path)
