from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from safetensors.numpy import load_file

from model import Classification, Classifier, load_bundle
from schemas import DEFAULT_POLICY, Role, Turn
from training_pipeline.bundle.export import ExportRequest, export_bundle
from training_pipeline.encoder.classifier import HEAD_WEIGHT, HIDDEN_WEIGHT, EncoderClassifier
from training_pipeline.encoder.from_bundle import write_encoder_of
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.run_folder import chosen_epoch, read_log
from training_pipeline.train.train import run_training

_CONFIG = TrainConfig(
    frozen_encoder=True,
    hidden_layer=True,
    n_epochs=6,
    head_lr=1e-2,
    weight_decay=0,
    label_smoothing=0,
    dropout=0,
    class_weights="balanced",
    early_stopping_patience=2,
    calibration_ratio=0.5,
)


@pytest.fixture(scope="module")
def run(tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run of the head alone."""
    folder = tmp_path_factory.mktemp("frozen")
    run_training([labelled_files[0]], labelled_files[1], folder, _CONFIG, encoder=tiny_encoder)
    return folder


def test_the_encoder_stays_as_it_was_and_the_head_learns(run: Path, tiny_encoder: Path) -> None:
    """Frozen means frozen: the bundle's encoder is the pretrained one."""
    (checkpoint,) = run.glob("epoch-*.safetensors")
    found, pretrained = load_file(checkpoint), load_file(tiny_encoder / "model.safetensors")
    kept = [name for name in found if name.startswith("encoder.")]
    assert len(kept) > 30
    assert all((found[name] == pretrained[name.removeprefix("encoder.")]).all() for name in kept)
    losses = [row["loss"] for row in read_log(run).values()]
    assert losses[-1] < losses[0]
    assert found["hidden.weight"].shape == (32, 32)


def test_the_chosen_epoch_is_kept_and_no_other(run: Path) -> None:
    """A checkpoint holds the whole encoder: forty of them would fill a disk for the sake of a head."""
    assert [path.name for path in run.glob("epoch-*.safetensors")] == [f"epoch-{chosen_epoch(run)}.safetensors"]
    values = {epoch: row["held_out_nll"] for epoch, row in read_log(run).items()}
    assert chosen_epoch(run) == min(values, key=lambda epoch: (values[epoch], epoch))


def test_training_stops_when_the_figure_has_not_improved(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """At a rate that only does harm, the first epoch stays the best and two more are borne."""
    config = _CONFIG.model_copy(update={"head_lr": 10.0, "n_epochs": 40})
    run_training([labelled_files[0]], None, tmp_path / "run", config, encoder=tiny_encoder)
    assert len(read_log(tmp_path / "run")) == chosen_epoch(tmp_path / "run") + 2


def test_each_chat_is_embedded_once_however_many_epochs_there_are(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder is nearly all of the time."""
    n_rows: list[int] = []
    embed = EncoderClassifier.embed

    def counted(self: EncoderClassifier, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        n_rows.append(len(ids))
        return embed(self, ids, mask)

    monkeypatch.setattr(EncoderClassifier, "embed", counted)
    config = _CONFIG.model_copy(update={"early_stopping_patience": 0})
    run_training([labelled_files[0]], labelled_files[1], tmp_path / "run", config, encoder=tiny_encoder)
    assert len(read_log(tmp_path / "run")) == 6
    assert sum(n_rows) == 200 + 40


def test_a_finished_run_is_not_trained_again_and_an_interrupted_one_begins_anew(
    run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Both end with the same weights."""

    def go(folder: Path) -> dict[str, Any]:
        return load_file(run_training([labelled_files[0]], labelled_files[1], folder, _CONFIG, encoder=tiny_encoder))

    expected, n_epochs = go(run), len(read_log(run))
    (tmp_path / "log.jsonl").write_bytes(b'{"epoch":1,"loss":0.0,"held_out_nll":0.0}\n')
    found = go(tmp_path)
    assert len(read_log(tmp_path)) == n_epochs
    assert all((found[name] == expected[name]).all() for name in expected)


def test_a_bundle_of_it_serves_and_its_graph_is_the_network(
    run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Encoder, hidden layer and head are one ONNX graph, as of any bundle."""
    request = ExportRequest(
        run=run,
        data=[labelled_files[0]],
        out=tmp_path / "bundle",
        name="frozen",
        version="0.1",
        encoder=tiny_encoder,
        first_stage=None,
        early_exits=None,
    )
    metrics = export_bundle(request)
    assert metrics["parity"]["float_equals_torch"]
    bundle = load_bundle(tmp_path / "bundle")
    (found,), _ = Classifier(bundle, DEFAULT_POLICY, n_threads=1).classify([[Turn(Role.USER, "a poem, please")]])
    assert isinstance(found, Classification)
    assert abs(sum(found.probabilities.values()) - 1) < 1e-4
    weights = load_file(write_encoder_of(bundle, tmp_path / "encoder") / "model.safetensors")
    assert HEAD_WEIGHT not in weights


def test_a_checkpoint_with_a_hidden_layer_is_read_as_one(run: Path, tiny_encoder: Path) -> None:
    """Nothing but the weights says so."""
    (checkpoint,) = run.glob("epoch-*.safetensors")
    network = EncoderClassifier.from_checkpoint(tiny_encoder, checkpoint)
    assert network.hidden is not None
    np.testing.assert_array_equal(network.hidden.weight.detach().numpy(), load_file(checkpoint)[HIDDEN_WEIGHT])


@pytest.mark.parametrize("field", ["evasion_ratio", "mixture_ratio", "identity_ratio", "piece_ratio", "bf16"])
def test_what_changes_the_texts_does_not_go_with_a_frozen_encoder(field: str) -> None:
    """They would change nothing, and nobody would see."""
    with pytest.raises(ValidationError, match=f"frozen_encoder with {field}: embeddings are computed once"):
        TrainConfig.model_validate({"frozen_encoder": True, field: True if field == "bf16" else 0.1})
