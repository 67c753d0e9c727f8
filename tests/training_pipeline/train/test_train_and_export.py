from pathlib import Path
from typing import Any

import orjson
import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from model import Classification, Classifier, load_bundle
from model.bundle.manifest import MANIFEST_NAME
from schemas import CHAT_13, DEFAULT_POLICY, Role, Turn
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.command_line import app
from training_pipeline.train import train
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.train import run_training


def _request(run: Path, out: Path, files: tuple[Path, Path], encoder: Path) -> ExportRequest:
    return ExportRequest(
        run=run, data=[files[0]], out=out, name="tiny", version="0.1", evaluation=[files[1]], encoder=encoder
    )


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_a_trained_run_becomes_a_bundle_that_serves(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The whole way from labelled chats to a verdict, and its figures come from the bundle itself."""
    metrics = export_bundle(_request(tiny_run, tmp_path / "bundle", labelled_files, tiny_encoder))
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.manifest.metrics == orjson.loads(orjson.dumps(metrics))
    assert bundle.manifest.training_data["n_chats_by_licence_class"] == {"own": 200}
    classifier = Classifier(bundle, DEFAULT_POLICY, n_threads=1)
    (found,), _ = classifier.classify([[Turn(Role.USER, "write a poem about the sea")]])
    assert isinstance(found, Classification)
    assert found.category in CHAT_13.codes
    card = (tmp_path / "bundle" / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "the project's own or under a permissive licence" in card
    assert str(metrics["dev"]["agreed"]["accuracy"]) in card


def test_the_same_run_gives_the_same_bundle_byte_for_byte(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A verdict names its bundle by digest; a digest that nobody can reproduce names nothing."""
    for name in ("one", "two"):
        export_bundle(_request(tiny_run, tmp_path / name, labelled_files, tiny_encoder))
    assert _contents(tmp_path / "one") == _contents(tmp_path / "two")


def test_an_interrupted_run_ends_with_the_weights_of_an_uninterrupted_one(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run takes hours; one that must start over, or goes on differently, wastes them."""
    config = TrainConfig(n_epochs=3, calibration_ratio=0.5)

    def go(folder: str) -> Path:
        return run_training([labelled_files[0]], labelled_files[1], tmp_path / folder, config, encoder=tiny_encoder)

    expected = load_file(go("whole"))
    whole_epoch = train._train_epoch

    def killed_in_the_second(*args: Any, epoch: int, **kwargs: Any) -> float:
        loss = whole_epoch(*args, epoch=epoch, **kwargs)
        if epoch == 2:
            raise KeyboardInterrupt
        return loss

    with monkeypatch.context() as patch:
        patch.setattr(train, "_train_epoch", killed_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            go("interrupted")
    found = load_file(go("interrupted"))
    assert found.keys() == expected.keys()
    assert all((found[name] == expected[name]).all() for name in expected)


def test_a_folder_of_another_run_is_refused(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path]
) -> None:
    """Continuing a run with other settings would give weights that no configuration describes."""
    config = TrainConfig(n_epochs=2, calibration_ratio=0.5)
    with pytest.raises(ValueError, match="another run"):
        run_training([labelled_files[0]], labelled_files[1], tiny_run, config, encoder=tiny_encoder)


def test_evaluate_prints_the_figures_of_the_manifest_as_its_last_line(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The command in the model card reproduces the model card."""
    export_bundle(_request(tiny_run, tmp_path / "bundle", labelled_files, tiny_encoder))
    arguments = ["evaluate", "--bundle", str(tmp_path / "bundle"), "--data", str(labelled_files[1])]
    result = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "report.json"), "--threads", "1"])
    assert result.exit_code == 0, result.output
    report = orjson.loads(result.output.splitlines()[-1])
    assert report["agreed"] == orjson.loads((tmp_path / "report.json").read_bytes())["agreed"]
    manifest = orjson.loads((tmp_path / "bundle" / MANIFEST_NAME).read_bytes())
    assert report["agreed"] == manifest["metrics"]["dev"]["agreed"]


def test_checkpoints_are_compared_on_held_out_chats(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path]
) -> None:
    """An epoch is chosen without looking at the dev set."""
    arguments = ["calibrate", "--run", str(tiny_run), "--data", str(labelled_files[0])]
    result = CliRunner().invoke(app, [*arguments, "--encoder", str(tiny_encoder), "--threads", "1"])
    assert result.exit_code == 0, result.output
    (row,) = orjson.loads(result.output.splitlines()[-1])["checkpoints"]
    assert row["epoch"] == 1
    assert row["n_chats"] == 100
