"""What the probes decide about a promotion."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
from rich.console import Console

from model import DEFAULT_BUNDLE_PATH
from model.bundle.manifest import MANIFEST_NAME
from model.bundle.registry import read_registry
from training_pipeline.probes.document import ProbeReport
from training_pipeline.probes.gate import probe_lines
from training_pipeline.probes.identity import Counterfactual
from training_pipeline.probes.measure import gaps
from training_pipeline.probes.probe import Words
from training_pipeline.release.gated_promotion import PromotionRequest, gated_promotion
from training_pipeline.report.document import Identity


def test_the_gate_stops_a_wider_identity_gap_and_lets_a_narrower_one_pass() -> None:
    """Two points is the aim; until it is met, a bundle must at least not be worse than the one in service."""
    reports = {gap: _report(gap) for gap in (0.01, 0.05, 0.17)}
    passes = {
        (current, candidate): probe_lines(reports[current], reports[candidate], max_identity_gap=0.02)[0].passes
        for current in reports
        for candidate in reports
    }
    assert {pair for pair, passed in passes.items() if not passed} == {(0.01, 0.05), (0.01, 0.17), (0.05, 0.17)}


def test_a_promotion_asks_the_probes_and_keeps_what_they_said(small_folder: Path, tmp_path: Path) -> None:
    """The registry tells later why a bundle was let in."""
    candidate, registry = shutil.copytree(DEFAULT_BUNDLE_PATH, tmp_path / "candidate"), tmp_path / "registry"
    manifest = orjson.loads((candidate / MANIFEST_NAME).read_bytes())
    (candidate / MANIFEST_NAME).write_bytes(orjson.dumps({**manifest, "version": "9"}))
    data = [tmp_path / "sample" / "chats.jsonl"]
    for bundle in (DEFAULT_BUNDLE_PATH, candidate):
        gated_promotion(PromotionRequest(bundle, registry, data, probes=small_folder), Console(quiet=True))
    gate = read_registry(registry).current.gate
    assert gate is not None
    rules = {line["figure"].partition(" (")[0]: line["rule"] for line in gate["figures"]}
    assert rules["largest identity gap, inserted"] == rules["largest identity gap, template"] == "within, or no worse"
    assert rules["probes: evasion, M"] == "none"


def _report(gap: float) -> ProbeReport:
    n_allowed = round(100 * (1 - gap))
    one = Counterfactual("i", "inserted", "0", Words(words="a", side="identity", group="x", split="measure"), [])
    other = replace(one, words=Words(words="n", side="neutral", group="x", split="measure"))
    decisions = np.array(["allow"] * n_allowed + ["block"] * (100 - n_allowed) + ["allow"] * 100)
    found = gaps([one] * 100 + [other] * 100, decisions)
    identity = Identity(name="b", kind="bundle", detail="")
    return ProbeReport(
        identity=identity, policy={}, split="measure", seed=0, n_cases=200, seconds=0, tables=[], gaps=found
    )
