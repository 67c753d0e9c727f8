"""The parity report says what quantisation costs, and when it costs too much."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from model.calibration import LogitScaling
from model.windowing import Windowing
from schemas import CHAT_13
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.command_line import app
from training_pipeline.graph.parity import MAX_ACCURACY_LOSS, parity_report


@pytest.fixture(scope="module")
def chats(labelled_files: tuple[Path, Path]) -> LabelledChats:
    """Return 200 labelled chats."""
    return read_labelled_chats([labelled_files[0]], Windowing(), frozenset())


def _right(chats: LabelledChats, *, wrong: int = 0) -> np.ndarray:
    """Return logits that are right but for the first chats."""
    labels = chats.labels.copy()
    labels[:wrong] = (labels[:wrong] + 1) % len(CHAT_13.codes)
    return 5 * np.eye(len(CHAT_13.codes), dtype=np.float32)[labels]


def test_runtimes_that_agree_lose_nothing(chats: LabelledChats) -> None:
    """The same logits three times over."""
    logits = dict.fromkeys(("torch", "onnx float", "onnx int8"), _right(chats, wrong=20))
    report = parity_report(chats.labels, logits, LogitScaling.single(1.0, 13), BANNED_COLUMNS)
    assert [figures.accuracy for figures in report.runtimes] == [0.9] * 3
    assert [figures.agreement_ratio for figures in report.runtimes] == [1.0] * 3
    assert report.int8_is_within_limit
    assert report.float_equals_torch


def test_more_than_the_limit_is_named_a_loss(chats: LabelledChats) -> None:
    """One chat of 200 is half a point: past the limit of 0.3. A gain is none."""
    right, worse = _right(chats), _right(chats, wrong=1)
    loses = parity_report(
        chats.labels,
        {"torch": right, "onnx float": right, "onnx int8": worse},
        LogitScaling.single(1.0, 13),
        BANNED_COLUMNS,
    )
    assert loses.int8_accuracy_loss == pytest.approx(0.005)
    assert loses.int8_accuracy_loss > MAX_ACCURACY_LOSS
    assert not loses.int8_is_within_limit
    gains = parity_report(
        chats.labels,
        {"torch": worse, "onnx float": worse, "onnx int8": right},
        LogitScaling.single(1.0, 13),
        BANNED_COLUMNS,
    )
    assert gains.int8_is_within_limit


def test_a_float_graph_that_is_another_network_is_found_out(chats: LabelledChats) -> None:
    """A slip in the graph would pass an accuracy check on easy chats; the probabilities tell."""
    right = _right(chats)
    logits = {"torch": right, "onnx float": 0.9 * right, "onnx int8": 0.9 * right}
    report = parity_report(chats.labels, logits, LogitScaling.single(1.0, 13), BANNED_COLUMNS)
    assert report.runtimes[1].agreement_ratio == 1.0
    assert not report.float_equals_torch


def test_export_prints_the_checked_lines_and_keeps_them_in_the_manifest(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Measured on the held-out chats and those of the manifest's figures, through the real graphs and torch."""
    out = tmp_path / "bundle"
    arguments = ["export", "--run", str(tiny_run), "--data", str(labelled_files[0]), "--out", str(out)]
    arguments += ["--evaluate", str(labelled_files[1]), "--encoder", str(tiny_encoder), "--threads", "1"]
    result = CliRunner().invoke(app, [*arguments, "--name", "tiny", "--version", "0.1", "--scaling", "class-groups"])
    assert result.exit_code == 0, result.output
    assert "INT8 within 0.3 points of float: " in result.output
    assert "float graph equals torch: ok" in result.output
    manifest = orjson.loads((out / "manifest.json").read_bytes())
    parity = manifest["metrics"]["parity"]
    assert (parity["data"], parity["n_chats"]) == (
        "held out and evaluation",
        manifest["training_data"]["n_chats_held_out"] + 40,
    )
    assert [group["codes"][0] for group in manifest["class_groups"]] == ["D", "A"]
    assert "Logits scaled by class group" in (out / "MODEL_CARD.md").read_text()
