"""A finished bundle reads whole chats: the rule is fitted and calibrated on chats that training never saw."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from typer.testing import CliRunner

from model import Classifier, load_bundle
from model.bundle.manifest import CALIBRATION_NAME
from model.bundle.thresholds import thresholds_for
from model.calibration import policy_scores
from model.evidence.pieces import PieceRule
from schemas import CHAT_13, DEFAULT_POLICY, Role, Turn
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.cascade.add_exits import AddExitsRequest, add_exits
from training_pipeline.chats.held_out import FITTING_RATIO
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import calibration_split, split_chats
from training_pipeline.command_line import app
from training_pipeline.evidence.add_pieces import AddPiecesRequest, add_pieces
from training_pipeline.languages.files import DEFAULT_LANGUAGES
from training_pipeline.quality.evaluate import predict
from training_pipeline.quality.guarantee_report import guarantee_report
from training_pipeline.train.config import TrainConfig

RULE = PieceRule(piece_characters=60, shortest_piece_characters=10)
"""Short, so that the sample's short chats have pieces."""


@pytest.fixture(scope="module")
def plain(tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path_factory: Any) -> Path:
    """Return a bundle of format 1."""
    out: Path = tmp_path_factory.mktemp("plain") / "bundle"
    export_bundle(_export(tiny_run, out, labelled_files, tiny_encoder))
    return out


@pytest.fixture(scope="module")
def whole(plain: Path, labelled_files: tuple[Path, Path], tmp_path_factory: Any) -> Path:
    """Return the same bundle with pieces."""
    out: Path = tmp_path_factory.mktemp("whole") / "bundle"
    add_pieces(_add(plain, out, labelled_files))
    return out


def _export(run: Path, out: Path, files: tuple[Path, Path], encoder: Path, **options: Any) -> ExportRequest:
    return ExportRequest(run, [files[0]], out, "tiny", "0.1", [files[1]], encoder=encoder, early_exits=None, **options)


def _add(bundle: Path, out: Path, files: tuple[Path, Path], **config: Any) -> AddPiecesRequest:
    known = TrainConfig(**{"calibration_ratio": 0.5, **config})
    return AddPiecesRequest(bundle, [files[0]], known, out, "0.2", [files[1]], RULE)


def test_the_bundle_says_how_it_reads_and_carries_its_calibration(plain: Path, whole: Path) -> None:
    """Curves, thresholds and verdicts stand on one score."""
    before, after = load_bundle(plain), load_bundle(whole)
    assert before.manifest.evidence is None
    assert after.manifest.evidence is not None
    assert after.manifest.evidence.pieces == RULE
    assert after.model == before.model
    assert after.calibration_evidence is not None
    np.testing.assert_allclose(after.calibration_probabilities, before.calibration_probabilities, atol=1e-4)
    assert (after.calibration_evidence >= after.calibration_probabilities - 1e-6).all()
    assert thresholds_for(after.risk_curves(DEFAULT_POLICY), DEFAULT_POLICY) == after.manifest.thresholds
    scores = policy_scores(after.calibration_evidence, BANNED_COLUMNS)
    curves = after.risk_curves(DEFAULT_POLICY)
    assert sorted([*curves.banned_scores, *curves.safe_scores]) == sorted(scores)
    figures = after.manifest.metrics["evidence"]
    assert figures["n_chats_fitting"] > 0
    assert figures["with_pieces"]["mixed_banned_below"] <= figures["without_pieces"]["mixed_banned_below"]
    assert after.languages is not None
    card = (whole / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "in pieces of at most 60" in card
    assert "Calibrated on en" in card
    assert "Only the window is read" not in card
    assert "look-alike letters are not" not in card
    assert "encodings are undone in a second reading" in card
    assert "Social bias was not measured when this bundle was made" in card
    assert "look-alike letters are not." in (plain / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_the_probes_are_asked_about_the_bundle_with_pieces(
    plain: Path, labelled_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the card says of evasion and bias is about the bundle that is served."""

    def measure(classifier: Classifier, folder: Path) -> None:
        rule = classifier.bundle.manifest.evidence
        raise ValueError(f"asked {folder.name} in pieces of {rule and rule.pieces.piece_characters}")

    monkeypatch.setattr("training_pipeline.bundle.figures.measure_folder", measure)
    request = replace(_add(plain, tmp_path / "bundle", labelled_files), probes=tmp_path / "probes")
    with pytest.raises(ValueError, match="asked probes in pieces of 60"):
        add_pieces(request)


def test_it_serves_pieces(whole: Path) -> None:
    """The bundle loads in the serving classes, warms up and judges the pieces of a chat."""
    classifier = Classifier(load_bundle(whole), DEFAULT_POLICY, n_threads=1)
    classifier.warm_up()
    turns = [Turn(Role.USER, "first message about one thing"), Turn(Role.USER, "second message about another")]
    _, stats = classifier.classify([turns])
    assert (stats.n_rows, stats.n_pieces) == (1, 2)


def test_its_calibration_is_what_it_serves_to_the_digit(whole: Path, labelled_files: tuple[Path, Path]) -> None:
    """A score that is rounded once more in calibration breaks ties against the guarantee."""
    bundle, config = load_bundle(whole), TrainConfig(calibration_ratio=0.5)
    chats = read_labelled_chats([labelled_files[0]], bundle.manifest.windowing, frozenset())
    held_out = chats.take(split_chats(chats, config)[1])
    guarantee, _ = calibration_split(held_out.labels, calibration_ratio=FITTING_RATIO, seed=config.seed)
    found = predict(Classifier(bundle, DEFAULT_POLICY, n_threads=1), held_out.take(guarantee))
    assert found.evidence is not None
    assert bundle.calibration_evidence is not None
    np.testing.assert_array_equal(found.evidence, bundle.calibration_evidence)


def test_export_gives_the_same_pieces(
    *, plain: Path, whole: Path, tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Two ways to one bundle: whoever has lost the run can still add them."""
    out = tmp_path / "exported"
    request = _export(tiny_run, out, labelled_files, tiny_encoder, pieces=RULE, languages=DEFAULT_LANGUAGES)
    metrics = export_bundle(request)
    exported, added = load_bundle(out), load_bundle(whole)
    assert exported.manifest.evidence == added.manifest.evidence
    assert exported.manifest.languages == added.manifest.languages
    assert metrics["evidence"] == added.manifest.metrics["evidence"]
    assert (out / CALIBRATION_NAME).read_bytes() == (whole / CALIBRATION_NAME).read_bytes()
    assert load_bundle(plain).manifest.evidence is None
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("config", "message"), [({"seed": 3}, "other probabilities"), ({"calibration_ratio": 0.3}, "carry the guarantee")]
)
def test_chats_that_the_bundle_was_not_calibrated_on_are_refused(
    *, plain: Path, labelled_files: tuple[Path, Path], tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    """Chats that trained the model would make its guarantee a lie."""
    with pytest.raises(ValueError, match=message):
        add_pieces(_add(plain, tmp_path / "out", labelled_files, **config))
    assert not (tmp_path / "out").exists()


def test_a_bundle_with_pieces_gets_no_others_and_no_exits(
    whole: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Its calibration speaks of the pieces and the model that it has."""
    with pytest.raises(ValueError, match="has pieces already"):
        add_pieces(_add(whole, tmp_path / "out", labelled_files))
    request = AddExitsRequest(whole, [labelled_files[0]], TrainConfig(calibration_ratio=0.5), tmp_path / "out", "0.3")
    with pytest.raises(ValueError, match="give it exits first"):
        add_exits(request)


def test_the_guarantee_is_checked_on_the_score_that_is_served(whole: Path, labelled_files: tuple[Path, Path]) -> None:
    """`verify-guarantee` would otherwise check another bundle's promise."""
    bundle = load_bundle(whole)
    report = guarantee_report(bundle, [labelled_files[1]], DEFAULT_POLICY, n_splits=20, seed=1, n_threads=1)
    assert report["parts"]["calibration chats"]["n_chats"] == len(bundle.calibration_labels)
    assert {check["error"] for check in report["parts"]["fresh chats"]["own_curves"]} == {
        "banned->safe",
        "safe->banned",
    }


def test_the_commands_write_and_verify(plain: Path, labelled_files: tuple[Path, Path], tmp_path: Path) -> None:
    """As a person would call them."""
    out = tmp_path / "out"
    arguments = ["add-pieces", "--bundle", str(plain), "--data", str(labelled_files[0]), "--version", "0.2"]
    arguments += ["--calibration-ratio", "0.5", "--threads", "1", "--piece-characters", "60", "--out", str(out)]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert orjson.loads(result.output.splitlines()[-1])["digest"] == load_bundle(out).digest
    evidence = orjson.loads((out / "calibration.json").read_bytes())["evidence"]
    assert len(evidence[0]) == len(CHAT_13.codes)
