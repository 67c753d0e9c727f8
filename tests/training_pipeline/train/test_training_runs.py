import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from training_pipeline.train import train
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.run_folder import BestEpoch, chosen_epoch, read_log
from training_pipeline.train.state import TrainingState
from training_pipeline.train.train import run_training

ROOT = Path(__file__).parents[3]
STILL = {"calibration_ratio": 0.5, "dropout": 0.0}
"""Without dropout, whose masks depend on how a step is divided."""


def _figures(run: Path) -> tuple[float, float]:
    row = read_log(run)[1]
    return row["loss"], row["held_out_nll"]


def test_a_step_in_parts_is_the_step_of_the_whole(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Memory may be saved without the run becoming another one."""
    for parts in (1, 3):
        config = TrainConfig(n_epochs=1, gradient_accumulation=parts, **STILL)
        run_training([labelled_files[0]], None, tmp_path / str(parts), config, encoder=tiny_encoder)
    assert _figures(tmp_path / "3") == pytest.approx(_figures(tmp_path / "1"), rel=1e-3)


def test_two_processes_train_what_one_trains(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Each step's chats are divided; steps and schedule stay.

    torchrun is what `accelerate launch` starts for GPUs; for CPUs it would need MPI. 100 chats in batches of 33 leave
    one row for the last step, so one process has none.
    """
    training, dev = labelled_files
    options = ["--data", str(training), "--dev", str(dev), "--encoder", str(tiny_encoder), "--epochs", "1"]
    options += ["--batch-rows", "33", "--set", "calibration_ratio=0.5", "--set", "dropout=0", "--threads", "1", "--cpu"]
    launch = ["-m", "torch.distributed.run", "--standalone", "--local_addr", "127.0.0.1", "--nproc_per_node", "2"]
    command = [sys.executable, *launch, "-m", "training_pipeline", "train", *options, "--out", str(tmp_path / "two")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (last,) = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert orjson.loads(last)["epoch"] == 1
    config = TrainConfig(n_epochs=1, batch_rows=33, **STILL)
    run_training([training], dev, tmp_path / "one", config, encoder=tiny_encoder, cpu=True)
    assert _figures(tmp_path / "two") == pytest.approx(_figures(tmp_path / "one"), rel=1e-3)


def test_an_epoch_that_is_interrupted_goes_on_where_it_was_written_down(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour's epoch is not begun anew, and ends with the same weights, dropout included."""
    config = TrainConfig(n_epochs=1, batch_rows=8, calibration_ratio=0.5, dropout=0.2)
    whole = run_training([labelled_files[0]], None, tmp_path / "whole", config, encoder=tiny_encoder, cpu=True)
    monkeypatch.setattr(train, "PART_S", 0.0)
    taken: list[int] = []
    step = TrainingState.step

    def fails_at_the_fourth(run: TrainingState, *arguments: Any) -> float:
        if len(taken) == 3:
            raise KeyboardInterrupt
        taken.append(1)
        return step(run, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "step", fails_at_the_fourth)
        with pytest.raises(KeyboardInterrupt):
            run_training([labelled_files[0]], None, tmp_path / "two", config, encoder=tiny_encoder, cpu=True)
    again: list[int] = []
    monkeypatch.setattr(TrainingState, "step", lambda run, *rest: again.append(1) or step(run, *rest))
    two = run_training([labelled_files[0]], None, tmp_path / "two", config, encoder=tiny_encoder, cpu=True)
    n_training = len(labelled_files[0].read_text(encoding="utf-8").splitlines())
    assert 0 < len(again) <= n_training // 8 + 1 - len(taken)
    assert two.read_bytes() == whole.read_bytes()
    assert read_log(tmp_path / "two") == read_log(tmp_path / "whole")
    assert not (tmp_path / "two" / "part.safetensors").exists()


@pytest.fixture
def given_figures(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """Return a list whose values become the held-out figures of one epoch after the other."""
    values: list[float] = []

    def figures(_self: Any, _model: Any) -> dict[str, float]:
        return {"held_out_nll": values.pop(0)}

    monkeypatch.setattr(train._Reported, "figures", figures)
    yield values
    assert not values


def test_training_stops_when_the_held_out_figure_no_longer_improves(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path, given_figures: list[float]
) -> None:
    """And the run is for its best epoch; started again, it has nothing left to do."""
    config = TrainConfig(n_epochs=6, calibration_ratio=0.5, early_stopping_patience=2)
    given_figures += [1.0, 0.8, 0.9, 0.85]
    for _ in range(2):
        path = run_training([labelled_files[0]], None, tmp_path, config, encoder=tiny_encoder)
        assert path == tmp_path / "epoch-2.safetensors"
    assert chosen_epoch(tmp_path) == 2
    best = BestEpoch.model_validate_json((tmp_path / "best.json").read_bytes())
    assert best == BestEpoch(epoch=2, figure="held_out_nll", value=0.8, n_epochs_done=4)


def test_an_epoch_that_was_saved_and_not_reported_is_reported_on_resume(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The choice of an epoch must not miss one because of a kill between two writes."""
    config = TrainConfig(n_epochs=1, calibration_ratio=0.5)
    run_training([labelled_files[0]], labelled_files[1], tmp_path, config, encoder=tiny_encoder)
    expected = (tmp_path / "log.jsonl").read_bytes()
    (tmp_path / "log.jsonl").unlink()
    run_training([labelled_files[0]], labelled_files[1], tmp_path, config, encoder=tiny_encoder)
    assert (tmp_path / "log.jsonl").read_bytes() == expected


def test_a_run_that_an_earlier_version_began_goes_on(
    tiny_run: Path, tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Its config.json has fewer fields, its marker no loss, and there is no copy of the encoder."""
    run = shutil.copytree(tiny_run, tmp_path / "run")
    shutil.rmtree(run / "encoder")
    config = orjson.loads((run / "config.json").read_bytes())
    added = ("pooling", "class_weights", "split_seed", "fp16", "gradient_accumulation", "selection_ratio")
    (run / "config.json").write_bytes(orjson.dumps({k: v for k, v in config.items() if k not in added}))
    (run / "done.json").write_bytes(b'{"epoch":1}')
    wanted = TrainConfig(n_epochs=1, calibration_ratio=0.5)
    path = run_training([labelled_files[0]], labelled_files[1], run, wanted, encoder=tiny_encoder)
    assert path.read_bytes() == (tiny_run / "epoch-1.safetensors").read_bytes()


def test_a_run_is_not_continued_with_another_encoder(
    tiny_run: Path, tiny_distilbert: Path, labelled_files: tuple[Path, Path]
) -> None:
    """The folder would hold weights of one network and the tokenizer of another."""
    config = TrainConfig(n_epochs=1, calibration_ratio=0.5)
    with pytest.raises(ValueError, match="another encoder"):
        run_training([labelled_files[0]], labelled_files[1], tiny_run, config, encoder=tiny_distilbert)


def test_float16_without_a_gpu_is_refused(
    tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """A CPU would train for hours on overflowed gradients, or crash."""
    config = TrainConfig(n_epochs=1, calibration_ratio=0.5, fp16=True)
    with pytest.raises(ValueError, match="expected a CUDA GPU"):
        run_training([labelled_files[0]], None, tmp_path / "run", config, encoder=tiny_encoder, cpu=True)
    assert not (tmp_path / "run").exists()
