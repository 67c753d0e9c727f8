"""A recipe runs the whole way once, then only what changed."""

from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from model import load_bundle
from model.bundle.pointer import rollback
from tests.training_pipeline.conftest import SAMPLE_PATH
from training_pipeline.command_line import app
from training_pipeline.recipe.config import read_recipe
from training_pipeline.recipe.recipe import Outcome, RecipeFailed, StageOutcome, run_recipe
from training_pipeline.recipe.stages import STAGES
from training_pipeline.release.promote import promote

_OF_TABLES = ("head", "compare")
"""Stages that test_table_recipes.py runs."""
_DATA_STAGES = ("extract", "preprocess", "label", "agree", "split")


@pytest.fixture(scope="module")
def folder(tiny_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a recipe over 300 sample chats and a tiny encoder, run once."""
    path = tmp_path_factory.mktemp("recipe")
    chats = path / "chats.jsonl"
    chats.write_bytes(b"".join(SAMPLE_PATH.read_bytes().splitlines(keepends=True)[:300]))
    stages = {
        "extract": {"records": ["${data.chats}"]},
        "preprocess": {},
        "label": {"recorded": ["${data.chats}"]},
        "agree": {},
        "split": {"ratios": {"train": 0.5, "dev": 0.25, "test": 0.25}},
        "train": {
            "encoder": str(tiny_encoder),
            "encoder_layers": 1,
            "config": {"n_epochs": 1, "calibration_ratio": 0.5},
        },
        "distil": {"hard_ratio": 0.5, "config": {"n_epochs": 1, "calibration_ratio": 0.5}},
        "calibrate": {},
        "export": {"name": "tiny", "version": "0.1"},
        "evaluate": {"guarantee_splits": 20},
        "promote": {"registry": str(path / "registry")},
    }
    recipe = {"work": str(path / "work"), "threads": 1, "data": {"chats": str(chats)}, "stages": stages}
    (path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    assert set(_outcomes(_run(path)).values()) == {Outcome.DONE}
    return path


def _run(folder: Path, *settings: str, dry_run: bool = False, from_stage: str | None = None) -> list[StageOutcome]:
    recipe = read_recipe(folder / "recipe.yaml", settings)
    return run_recipe(recipe, Console(quiet=True), dry_run=dry_run, from_stage=from_stage)


def _outcomes(lines: list[StageOutcome]) -> dict[str, Outcome]:
    return {line.stage: line.outcome for line in lines}


def _planned(lines: list[StageOutcome]) -> list[str]:
    return [line.stage for line in lines if line.outcome is Outcome.PLANNED]


def test_every_stage_ran_and_what_is_served_is_the_bundle_that_was_exported(folder: Path) -> None:
    """From raw records to a worker's next start."""
    bundle = load_bundle(folder / "work" / "bundle")
    assert load_bundle(folder / "registry").ref == bundle.ref
    assert bundle.manifest.metrics["test"]["agreed"]["n_chats"] > 30
    for name in ("evaluation.json", "guarantee.json", "checkpoints.json", "recipe-state.json"):
        assert (folder / "work" / name).is_file()


def test_a_second_run_does_nothing_and_a_dry_run_says_so(folder: Path) -> None:
    """Hours of training must not start over because somebody asked twice."""
    assert list(_outcomes(_run(folder))) == [name for name in STAGES if name not in _OF_TABLES]
    assert set(_outcomes(_run(folder)).values()) == {Outcome.SKIPPED}
    assert _planned(_run(folder, dry_run=True)) == []


def test_a_changed_argument_runs_its_stage_and_those_after_it_only(folder: Path) -> None:
    """Another version is another bundle, from the same checkpoint."""
    lines = _run(folder, 'stages.export.version="0.2"', dry_run=True)
    assert _planned(lines) == ["export", "evaluate", "promote"]
    assert [line.why for line in lines[-3:]] == ["arguments changed", "comes after export", "comes after evaluate"]


def test_from_runs_a_stage_and_those_after_it_though_nothing_changed(folder: Path) -> None:
    """For what no digest shows, such as another machine."""
    assert _planned(_run(folder, dry_run=True, from_stage="evaluate")) == ["evaluate", "promote"]
    assert _outcomes(_run(folder, from_stage="evaluate"))["evaluate"] is Outcome.DONE
    with pytest.raises(ValueError, match="--from evaluation: the recipe has no such stage"):
        _run(folder, from_stage="evaluation")


def test_a_rollback_is_not_undone_by_running_the_recipe_again(folder: Path, bundle_path: Path) -> None:
    """Whoever went back had a reason; only a new bundle is promoted."""
    registry = folder / "registry"
    served = load_bundle(registry).digest
    promote(bundle_path, registry)
    _run(folder)
    assert load_bundle(registry).digest != served
    rollback(registry)
    _run(folder)
    assert load_bundle(registry).digest == served


def _data_recipe(folder: Path, tmp_path: Path, **stages: object) -> Path:
    """Write the first recipe's data stages as a recipe of their own."""
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    recipe["work"] = str(tmp_path / "work")
    recipe["stages"] = {name: recipe["stages"][name] for name in _DATA_STAGES} | stages
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return tmp_path


def test_a_failed_stage_names_itself_keeps_what_was_done_and_stops_the_rest(folder: Path, tmp_path: Path) -> None:
    """Fixed and run again, it goes on where it stopped."""
    place = _data_recipe(folder, tmp_path)
    with pytest.raises(RecipeFailed) as failed:
        _run(place, "stages.agree.options.min_votes=3", "stages.split.ratios={train: 0.33, dev: 0.67}")
    assert _outcomes(failed.value.outcomes) == {
        "extract": Outcome.DONE,
        "preprocess": Outcome.DONE,
        "label": Outcome.DONE,
        "agree": Outcome.DONE,
        "split": Outcome.FAILED,
    }
    outcomes = _outcomes(_run(place))
    assert [name for name, outcome in outcomes.items() if outcome is Outcome.DONE] == ["agree", "split"]


def test_an_output_that_was_changed_by_hand_is_written_again(folder: Path, tmp_path: Path) -> None:
    """A later stage would read something that no recipe made."""
    place = _data_recipe(folder, tmp_path)
    _run(place)
    clean = place / "work" / "clean.jsonl"
    before = clean.read_bytes()
    clean.write_bytes(before[: len(before) // 2])
    lines = _run(place)
    assert next(line.why for line in lines if line.stage == "preprocess").endswith("is gone or was changed")
    assert clean.read_bytes() == before
    assert _outcomes(lines)["label"] is Outcome.SKIPPED


def test_an_input_that_changed_runs_what_reads_it(folder: Path, tmp_path: Path) -> None:
    """More chats in the same file are another data set."""
    place = _data_recipe(folder, tmp_path)
    chats = tmp_path / "chats.jsonl"
    chats.write_bytes((folder / "chats.jsonl").read_bytes())
    setting = f"data.chats={chats}"
    _run(place, setting)
    with chats.open("ab") as file:
        file.write(SAMPLE_PATH.read_bytes().splitlines(keepends=True)[300])
    lines = _run(place, setting, dry_run=True)
    assert lines[0].why == "inputs changed"
    assert _planned(lines) == list(_DATA_STAGES)


def test_a_stage_without_input_is_refused_before_anything_runs(folder: Path, tmp_path: Path) -> None:
    """The mistake is in the recipe, so it must not show after an hour."""
    place = _data_recipe(folder, tmp_path, export={"name": "x", "version": "1"})
    with pytest.raises(ValueError, match=r"stages.export: needs the stage `train`"):
        _run(place)
    assert not (place / "work").exists()


def test_the_command_prints_the_table_and_one_line_of_json(folder: Path) -> None:
    """The line is for scripts, the table for people."""
    result = CliRunner().invoke(app, ["run", str(folder / "recipe.yaml"), "--dry-run"])
    assert result.exit_code == 0, result.output
    assert '"promote":{"outcome":"unchanged","result":"serves tiny/0.1-' in result.stdout
