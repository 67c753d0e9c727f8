from pathlib import Path

import optuna
import orjson
import pytest
from optuna.trial import TrialState
from typer.testing import CliRunner

from model.windowing import Windowing
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.command_line import app
from training_pipeline.train import tune
from training_pipeline.train.config import TrainConfig, build_config

SPACE = """
fixed: {n_epochs: 1, calibration_ratio: 0.3, windowing.max_tokens: 32}
search:
  encoder_lr: {low: 0.0001, high: 0.001, log: true}
  batch_rows: {choices: [16, 32]}
"""


@pytest.fixture
def request_of(tiny_encoder: Path, labelled_files: tuple[Path, Path], tmp_path: Path) -> tune.TuneRequest:
    """Return a search of two trials over 80 chats."""
    (tmp_path / "space.yaml").write_text(SPACE, encoding="utf-8")
    space = tune.read_space(tmp_path / "space.yaml")
    return tune.TuneRequest(
        [labelled_files[0]], tmp_path / "out", space, tiny_encoder, n_trials=2, n_chats=80, cpu=True
    )


def test_the_search_keeps_its_trials_and_its_best_configuration_trains(
    request_of: tune.TuneRequest, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """Started again, it runs only the trials that are missing."""
    arguments = ["tune", "--data", str(labelled_files[0]), "--space", str(tmp_path / "space.yaml"), "--chats", "80"]
    arguments += ["--out", str(request_of.out), "--encoder", str(request_of.encoder), "--threads", "1", "--cpu"]
    results = [CliRunner().invoke(app, [*arguments, "--trials", str(n)]) for n in (1, 2, 2)]
    assert [result.exit_code for result in results] == [0, 0, 0], [result.output for result in results]
    found = [orjson.loads(result.output.splitlines()[-1])["trials"] for result in results]
    assert [len(rows) for rows in found] == [1, 2, 2]
    assert found[1] == found[2]
    assert found[0][0] in found[1]
    best = build_config(request_of.out / "best.yaml", {})
    assert best.encoder_lr == min(found[1], key=lambda row: row["value"])["encoder_lr"]
    assert best.windowing.max_tokens == 32


def test_an_interrupted_trial_is_taken_up_again_with_its_values(request_of: tune.TuneRequest) -> None:
    """Its finished epochs lie in its folder, which is named by its configuration."""
    request_of.out.mkdir()
    storage = optuna.storages.JournalStorage(tune.JournalFileBackend(str(request_of.out / tune.JOURNAL_NAME)))
    study = optuna.create_study(study_name=tune._STUDY, storage=storage)
    left = study.ask()
    values = request_of.space.suggest(left)
    finished = tune.tune(request_of)
    states = [trial.state for trial in finished.get_trials()]
    assert states == [TrialState.FAIL, TrialState.COMPLETE, TrialState.COMPLETE]
    assert finished.get_trials()[1].params == values


def test_no_trial_sees_a_chat_that_the_final_run_holds_out(request_of: tune.TuneRequest) -> None:
    """Or the search would have chosen by the chats that carry the guarantee."""
    config = request_of.space.config({})
    chats = read_labelled_chats(request_of.data, Windowing(), frozenset())
    held_out = set(chats.take(split_chats(chats, config)[1]).chat_ids)
    training, compared = tune._subsample(request_of, config)
    assert len(training) + len(compared) == 80
    assert not held_out & {*training.chat_ids, *compared.chat_ids}
    assert not set(training.chat_ids) & set(compared.chat_ids)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ("search: {learning_rate: {low: 0.1, high: 0.2}}", "learning_rate"),
        ("search: {n_epochs: {low: 1, hi: 2}}", "not a search space"),
        ("fixed: {n_epochs: 1}", "search"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_at_once(tmp_path: Path, space: str, said: str) -> None:
    """Not after the first trial."""
    (tmp_path / "space.yaml").write_text(space, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        tune.read_space(tmp_path / "space.yaml")


def test_whole_bounds_give_whole_numbers(request_of: tune.TuneRequest) -> None:
    """A batch of 16.3 chats is no batch."""
    study = optuna.create_study()
    space = tune.SearchSpace.model_validate({"search": {"batch_rows": {"low": 8, "high": 64, "log": True}}})
    chosen = space.suggest(study.ask())
    assert isinstance(chosen["batch_rows"], int)
    assert space.config(chosen) == TrainConfig(batch_rows=chosen["batch_rows"])
    assert request_of.space.config({}).n_epochs == 1
