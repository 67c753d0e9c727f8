"""The head that corrections are shown on: what it answers is what its bundle answers, and the figures are exact."""

from pathlib import Path

import numpy as np
import orjson
import pytest

from model import Classification, Classifier, load_bundle
from model.bundle.files import write_folder
from model.bundle.manifest import MANIFEST_NAME
from model.described.embedding import Embedder
from model.described.frozen_encoder import shipped_encoder
from model.windowing import Windowing
from schemas import CHAT_13
from tests.training_pipeline.data.chat_files import read_lines
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.data.errors import DataError
from training_pipeline.feedback import demo
from training_pipeline.feedback.demo import DemoOptions, run_demo
from training_pipeline.feedback.head_fit import bundle_files, fit_head_on

ROOT = Path(__file__).parents[3]


def cut(source: Path, target: Path, n_chats: int) -> Path:
    """Copy the first chats of a file."""
    target.write_bytes(b"".join(source.read_bytes().splitlines(keepends=True)[:n_chats]))
    return target


def test_a_bundle_names_the_category_that_its_head_names(tmp_path: Path) -> None:
    """Of whole conversations too: what was measured on vectors holds for the worker."""
    path = cut(ROOT / "data" / "sample" / "chats.jsonl", tmp_path / "chats.jsonl", 60)
    chats = read_labelled_chats([path], Windowing(), frozenset(), CHAT_13)
    vectors = Embedder(shipped_encoder(), n_threads=1).of_conversations(chats.conversations)
    head = fit_head_on(vectors[:40], chats.labels[:40], len(CHAT_13.codes))
    write_folder(tmp_path / "bundle", bundle_files(head, CHAT_13, chats.labels[:40]), marker=MANIFEST_NAME)
    bundle = load_bundle(tmp_path / "bundle")
    assert not bundle.is_calibrated
    results, _ = Classifier(bundle, bundle.default_policy, n_threads=1).classify(chats.conversations[40:])
    named = [result.category for result in results if isinstance(result, Classification)]
    expected = [CHAT_13.codes[i] for i in head.logits(vectors[40:]).argmax(axis=1)]
    assert named == expected
    assert len(set(named)) > 2


def test_the_demo_goes_the_whole_way_and_measures_each_chat_once(tmp_path: Path) -> None:
    """On a few chats: two bundles of corrections, rows that came through the join, and counts that add up."""
    options = DemoOptions(
        ordinary=cut(ROOT / "data" / "sample" / "chats.jsonl", tmp_path / "sample.jsonl", 70),
        kind=cut(ROOT / "data" / "border" / "chats.jsonl", tmp_path / "border.jsonl", 70),
        n_corrections=5,
    )
    figures = run_demo(tmp_path / "work", options)
    kind, *elsewhere = figures["corrections"]
    halves = [len(read_lines(tmp_path / "work" / "kind" / f"{name}.jsonl")) for name in demo._HALVES]
    assert kind["n"] == sum(halves)
    assert len({row["n"] for row in elsewhere}) == 1
    for row in figures["corrections"] + figures["as_many_at_random"]:
        n_right = [round(row[name]["value"] * row["n"]) for name in ("accuracy_before", "accuracy_after")]
        assert n_right[1] - n_right[0] == row["n_mended"] - row["n_broken"]
        assert row["difference"]["low"] <= row["difference"]["value"] <= row["difference"]["high"]
    for name in demo._HALVES:
        folder = tmp_path / "work" / f"corrected-by-{name}"
        report = orjson.loads((folder / "rows.report.json").read_bytes())
        assert report["details"]["n_reports"] == 5
        assert figures["reported"][name]["n_rows"] == len(read_lines(folder / "rows.jsonl"))
        assert load_bundle(folder / "bundle").taxonomy == CHAT_13
    kept = np.load(tmp_path / "work" / "vectors.npz")["vectors"]
    assert kept.shape[1] == shipped_encoder().manifest.n_dimensions
    with pytest.raises(DataError, match="expected at least 500"):
        run_demo(tmp_path / "work", DemoOptions(options.ordinary, options.kind, n_corrections=500))


@pytest.mark.parametrize(
    ("n_mended", "n_broken", "n", "expected"),
    [(0, 0, 10, (0.0, 0.0, 0.0)), (5, 0, 100, (0.05, -0.0022, 0.05)), (10, 10, 100, (0.0, -0.0911, 0.0911))],
)
def test_a_change_has_the_exact_interval_of_the_verdicts_that_changed(
    n_mended: int, n_broken: int, n: int, expected: tuple[float, float, float]
) -> None:
    """Five mended and none broken is not shown to be better: McNemar's p is .0625."""
    found = demo._difference(n_mended, n_broken, n)
    assert (found["value"], found["low"], found["high"]) == pytest.approx(expected, abs=2e-3)
