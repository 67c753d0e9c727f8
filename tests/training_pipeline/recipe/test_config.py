"""A recipe with a slip in it is refused before hours are spent on it."""

from pathlib import Path

import pytest
from rich.console import Console

from training_pipeline.recipe import stages
from training_pipeline.recipe.config import read_recipe
from training_pipeline.recipe.recipe import Outcome, run_recipe

_ROOT = Path(__file__).parents[3]

_RECIPE = """
work: here
data: {train: null, dev: dev.jsonl}
stages:
  train:
    data: ["${data.train}", own.jsonl]
    dev: "${data.dev}"
    config: {n_epochs: 2}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return a recipe's file."""
    file = tmp_path / "recipe.yaml"
    file.write_text(_RECIPE)
    return file


def test_paths_are_given_by_name_and_any_value_can_be_set(path: Path) -> None:
    """The same file serves whoever has the chats elsewhere."""
    recipe = read_recipe(path, ["data.train=/far/train.jsonl", "stages.train.config.n_epochs=5", "threads=3"])
    assert recipe.stages.train is not None
    assert recipe.stages.train.data == [Path("/far/train.jsonl"), Path("own.jsonl")]
    assert recipe.stages.train.dev == Path("dev.jsonl")
    assert (recipe.stages.train.config.n_epochs, recipe.threads) == (5, 3)
    assert recipe.stages.export is None


def test_a_path_without_a_value_is_named_with_the_option_that_gives_it(path: Path) -> None:
    """Not with a file called None that is not there."""
    with pytest.raises(ValueError, match=r"data.train has no value; add --set data.train=PATH"):
        read_recipe(path)


@pytest.mark.parametrize(
    "setting",
    ["stage.train={}", "stages.trian={}", "stages.train.config.epochs=3", "stages.train.encoder_layer=2", "data=5"],
)
def test_unknown_keys_are_refused_at_every_level(path: Path, setting: str) -> None:
    """A misspelt option would train for hours with the default."""
    with pytest.raises(ValueError, match="recipe"):
        read_recipe(path, ["data.train=x", setting])


@pytest.mark.parametrize("setting", ["data.train", "=x", "data.train.x=1", "work={"])
def test_a_setting_of_another_form_is_refused(path: Path, setting: str) -> None:
    """And named, since a shell may have eaten half of it."""
    with pytest.raises(ValueError, match="--set"):
        read_recipe(path, ["data.train=x", setting])


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        (
            "stages.extract={records: [a.csv], table: {text_column: m, keep_columns: null}}",
            "keep_columns: found null; ",
        ),
        ("threads=-1", "threads: found -1; expected greater than or equal to 0"),
        ("stages.nonsense=1", "stages.nonsense: no such name"),
        ("stages.head={name: x}", "stages.head.version: missing; add it, or --set stages.head.version=VALUE"),
    ],
)
def test_a_value_that_does_not_fit_is_said_in_one_line(path: Path, setting: str, said: str) -> None:
    """As the place is written in --set, what was found and what is expected; no link to a library's pages."""
    with pytest.raises(ValueError, match=r"recipe.yaml: not a recipe: ") as caught:
        read_recipe(path, ["data.train=x", setting])
    assert said in str(caught.value)
    assert not [word for word in ("\n", "http", "pydantic", "input_value") if word in str(caught.value)]


@pytest.mark.parametrize("text", ["- a list", "work: [", "", "work: x"])
def test_a_file_that_is_no_recipe_is_refused(path: Path, text: str) -> None:
    """With what was found and an example of what was expected."""
    path.write_text(text)
    with pytest.raises(ValueError, match=r"recipe.yaml: (cannot be read|holds a|not a recipe)"):
        read_recipe(path)


def test_labels_come_from_annotators_or_from_a_record_not_from_both(path: Path) -> None:
    """One of the two would be ignored."""
    with pytest.raises(ValueError, match="expected exactly one of them"):
        read_recipe(path, ["data.train=x", "stages.label={}"])


def test_the_shipped_recipes_are_recipes() -> None:
    """Smoke and community, with every stage between them; the two of the shipped bundle with the paths they ask for."""
    smoke, community = (read_recipe(_ROOT / "recipes" / f"{name}.yaml").stages for name in ("smoke", "community"))
    assert all(getattr(smoke, name) or getattr(community, name) for name in stages.STAGES)
    given = ["data.train=train.jsonl", "data.dev=dev.jsonl"]
    teacher = read_recipe(_ROOT / "recipes" / "teacher.yaml", given)
    default = read_recipe(_ROOT / "recipes" / "default.yaml", [*given, "data.unlabelled=unlabelled.jsonl"])
    assert default.stages.train is not None
    assert default.stages.distil is not None
    assert default.stages.train.data == [
        Path("train.jsonl"),
        Path("data/sample/chats.jsonl"),
        default.work / "labelled.jsonl",
    ]
    assert default.stages.distil.teachers == [teacher.work / "bundle"]
    # The student may only hold out what its teachers held out.
    assert default.stages.distil.config.calibration_ratio == default.stages.train.config.calibration_ratio


@pytest.mark.parametrize("path", sorted((_ROOT / "recipes").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_recipe_can_be_planned(path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With the paths that it asks for, and without any of its encoders on this machine."""
    monkeypatch.setattr(stages, "resolve_encoder", lambda name: tmp_path / name)
    given = [f"data.{name}={name}.jsonl" for name in ("train", "unlabelled", "dev")]
    given += ["data.more=more.jsonl"] if path.stem == "accurate" else []
    recipe = read_recipe(path, [*given, f"work={tmp_path / 'work'}"])
    planned = run_recipe(recipe, Console(quiet=True), dry_run=True)
    assert {line.outcome for line in planned} == {Outcome.PLANNED}
    student, teacher = recipe.stages.distil, recipe.stages.train
    if student is not None and teacher is not None:
        splits = [(c.config.seed_of_split, c.config.calibration_ratio) for c in (student, teacher)]
        assert splits[0] == splits[1]


def test_the_permissive_recipe_learns_from_no_other_licences_not_even_by_a_teacher() -> None:
    """A teacher's answers carry what it learned from."""
    given = [f"data.{name}={name}.jsonl" for name in ("train", "unlabelled", "dev")]
    found = read_recipe(_ROOT / "recipes" / "permissive.yaml", given).stages
    assert found.train is not None
    assert found.train.licence_classes == ["permissive"]
    assert found.distil is None


def test_a_student_from_a_table_needs_no_run_in_the_recipe(path: Path) -> None:
    """But an encoder to start from, and its own data."""
    recipe = read_recipe(
        path,
        [
            "stages.train=null",
            "data.train=x",
            "stages.distil={soft_labels: table.csv.gz, start: minilm-l6, data: [chats.jsonl], dev: dev.jsonl}",
            "stages.calibrate={}",
        ],
    )
    distil, calibrate = stages.tasks_of(recipe, Console(quiet=True))
    assert distil.inputs == [Path("table.csv.gz"), Path("chats.jsonl"), Path("dev.jsonl")]
    assert calibrate.inputs[0] == recipe.work / "distilled" / "run"


@pytest.mark.parametrize(
    "stage",
    ["{soft_labels: t.csv.gz}", "{soft_labels: t.csv.gz, start: a, teachers: [b]}", "{data: [chats.jsonl]}"],
)
def test_teachers_and_a_table_are_not_mixed_in_a_recipe(path: Path, stage: str) -> None:
    """Nor are a run's teacher and other chats than its own."""
    with pytest.raises(ValueError, match=r"distil: .*expected"):
        read_recipe(path, ["data.train=x", f"stages.distil={stage}"])


def test_a_recipe_names_its_taxonomy_once_and_a_stage_may_name_its_own(tmp_path: Path) -> None:
    """Training on one taxonomy and reading labels of another would fail late."""
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "work: w\ntaxonomy: community\nstages:\n"
        "  extract: {records: [a.csv], table: {text_column: m, label_column: n}}\n"
        "  train: {}\n  distil: {config: {taxonomy: toxicity}}\n"
    )
    stages = read_recipe(path).stages
    assert stages.extract is not None
    assert stages.extract.table is not None
    assert stages.extract.table.taxonomy == "community"
    assert stages.train is not None
    assert stages.train.config.taxonomy.name == "community"
    assert stages.distil is not None
    assert stages.distil.config.taxonomy.name == "toxicity"
