"""A recipe: the whole way from raw chats to a bundle in service, in one YAML file.

A stage that is left out does not run; the stages after it then name their own inputs. `${data.NAME}` stands for a path
of the recipe's `data` part, which `--set data.NAME=PATH` gives. Paths are relative to the current folder. Unknown keys
are refused everywhere.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas import CHAT_13
from training_pipeline.bundle.scaling_fit import ScalingKind
from training_pipeline.data.agree import AgreeOptions
from training_pipeline.data.preprocess import PreprocessOptions
from training_pipeline.data.table_chats import TableOptions
from training_pipeline.encoder.packages import MINILM
from training_pipeline.release.gate import GateMargins
from training_pipeline.train.config import TrainConfig

_MOST_SHOWN_CHARACTERS: Final = 60
_REFERENCE: Final = re.compile(r"\$\{data\.([A-Za-z0-9_]+)\}")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ExtractStage(_Part):
    """Raw records, or a table, to conversations."""

    records: list[Path] = Field(min_length=1)
    table: TableOptions | None = Field(default=None, description="What the columns mean, where the records are tables.")
    last_messages: int = Field(default=12, gt=0)


class PreprocessStage(_Part):
    """Windows, duplicates, languages."""

    data: list[Path] = Field(default=[], description="By default what `extract` wrote.")
    options: PreprocessOptions = PreprocessOptions()


class LabelStage(_Part):
    """Labels by LLM annotators, or by answers that were recorded earlier."""

    data: list[Path] = []
    annotators: Path | None = Field(default=None, description="TOML file, as the command `label` reads it.")
    max_cost_usd: float | None = Field(default=None, ge=0)
    recorded: list[Path] = Field(default=[], description="Labelled chats whose category every annotator answers.")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.annotators is None) == (not self.recorded):
            raise ValueError("label: found annotators and recorded, or neither; expected exactly one of them")
        return self


class AgreeStage(_Part):
    """Answers to labels."""

    data: list[Path] = []
    answers: list[Path] = Field(default=[], description="By default what `label` wrote.")
    tables: list[Path] = Field(default=[], description="Label tables (CSV), one annotator each.")
    options: AgreeOptions = AgreeOptions()


class SplitStage(_Part):
    """Labelled chats to splits."""

    data: list[Path] = []
    ratios: dict[str, float] = {"train": 0.8, "dev": 0.1, "test": 0.1}
    exclude: list[Path] = []
    threshold: float = Field(default=0.6, gt=0, le=1)
    seed: int = Field(default=0, ge=0)
    by: str | None = Field(default=None, description="Field that names a chat's split, in place of shares and seed.")


class HeadStage(_Part):
    """A head on the frozen encoder, as a bundle of its own: what a fine-tuned encoder has to beat."""

    name: str
    version: str
    data: list[Path] = Field(default=[], description="By default the split `train`.")
    dev: Path | None = Field(default=None, description="By default the split `dev`.")
    encoder: str = Field(default=MINILM, description="As of `train --encoder`.")
    config: TrainConfig = TrainConfig(frozen_encoder=True, hidden_layer=True)
    evaluate: list[Path] = Field(default=[], description="By default the split `test`, else `dev`.")
    policy: Path | None = Field(default=None, description="The bundle's default policy; null: what the taxonomy bans.")
    scaling: ScalingKind = ScalingKind.AUTO
    pieces: bool = Field(default=False, description="Whether whole messages and chats are read, in pieces.")

    @model_validator(mode="after")
    def _frozen(self) -> Self:
        if not self.config.frozen_encoder:
            raise ValueError("head: config.frozen_encoder is false; expected true; the stage `train` fine-tunes")
        return self


class TrainStage(_Part):
    """Labelled chats to checkpoints."""

    data: list[Path] = Field(default=[], description="By default the split `train`.")
    dev: Path | None = Field(default=None, description="By default the split `dev`.")
    licence_classes: list[str] = []
    encoder: str = Field(default=MINILM, description="As of `train --encoder`.")
    encoder_layers: int | None = Field(default=None, gt=0, description="Keep the first layers only.")
    config: TrainConfig = TrainConfig()


class DistilStage(_Part):
    """A student of the run and of other models, in the run's place; or of a table of what other models said."""

    teachers: list[Path] = Field(default=[], description="Folders of bundles and linear stages, beside the run.")
    soft_labels: Path | None = Field(
        default=None, description="Table of `soft-labels`, in place of the run and of teachers."
    )
    start: str | None = Field(default=None, description="Encoder that the student starts from; by default the run.")
    data: list[Path] = Field(default=[], description="By default as for `train`; given only with soft_labels.")
    dev: Path | None = Field(default=None, description="By default as for `train`.")
    licence_classes: list[str] = Field(default=[], description="By default as for `train`.")
    unlabelled: list[Path] = Field(default=[], description="Chats that the run did not learn from.")
    layers: int | None = Field(default=None, gt=0, description="Layers of the student; by default the run's.")
    temperature: float = Field(default=1.0, gt=0)
    hard_ratio: float = Field(default=0.0, ge=0, le=1, description="Weight of the annotators' label.")
    config: TrainConfig = TrainConfig()

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        table = self.soft_labels is not None
        if table and (self.teachers or self.start is None):
            raise ValueError("distil: soft_labels stand for all teachers; expected no teachers, and start: ENCODER")
        if not table and (self.data or self.dev or self.licence_classes):
            raise ValueError("distil: a run teaches only about its own chats; expected data with soft_labels alone")
        return self


class CalibrateStage(_Part):
    """Compare the checkpoints on the held-out chats."""


class ExportStage(_Part):
    """A checkpoint to a bundle."""

    name: str
    version: str
    evaluate: list[Path] = Field(default=[], description="By default the split `test`, else `dev`.")
    policy: Path | None = Field(default=None, description="The bundle's default policy; null: what the taxonomy bans.")
    probes: Path | None = Field(default=None, description="Folder of probes for manifest and model card.")
    epoch: int | None = Field(default=None, gt=0)
    scaling: ScalingKind = ScalingKind.AUTO
    first_stage: bool = Field(default=True, description="Whether a first stage answers what is easy.")
    early_exits: bool = Field(default=True, description="Whether rows may leave between the transformer's layers.")
    blend_weight: float | None = Field(
        default=None, ge=0, le=1, description="Of the first stage's logits beside the transformer's; null fits it."
    )
    first_stage_precision: float = Field(
        default=0.96, gt=0, le=1, description="Share of right answers among those that the first stage gives alone."
    )
    exit_confidence: float = Field(
        default=0.8, gt=0, description="A row leaves early from this probability of its category on."
    )
    pieces: bool = Field(default=True, description="Whether whole messages and chats are read, in pieces.")


class EvaluateStage(_Part):
    """The bundle's figures, and its conformal guarantee."""

    data: list[Path] = Field(default=[], description="By default as for `export`.")
    policy: Path | None = None
    guarantee_splits: int = Field(default=1000, ge=2)


class CompareStage(_Part):
    """The recipe's bundles, other bundles and LLM endpoints on the same chats."""

    data: list[Path] = Field(default=[], description="By default the split `test`, else `dev`.")
    bundles: list[Path] = Field(default=[], description="Bundles beside those of `head` and `export`.")
    llm: Path | None = Field(default=None, description="TOML file of annotators, as the command `label` reads it.")
    max_cost_usd: float | None = Field(default=None, ge=0)
    policy: Path | None = None
    resamples: int = Field(default=1000, ge=0, description="Of the bootstrap intervals; 0: none.")
    timed_chats: int = Field(default=50, ge=0)
    attacks: bool = Field(default=False, description="Recall on disguised banned chats.")


class PromoteStage(_Part):
    """The bundle into the registry that workers read."""

    registry: Path
    data: list[Path] = Field(default=[], description="By default as for `export`.")
    probes: Path | None = Field(default=None, description="Folder of probes: identity gaps join the gate.")
    margins: GateMargins = GateMargins()
    force_reason: str | None = None
    sign_key: Path | None = None


class Stages(_Part):
    """What runs, in this order."""

    extract: ExtractStage | None = None
    preprocess: PreprocessStage | None = None
    label: LabelStage | None = None
    agree: AgreeStage | None = None
    split: SplitStage | None = None
    head: HeadStage | None = None
    train: TrainStage | None = None
    distil: DistilStage | None = None
    calibrate: CalibrateStage | None = None
    export: ExportStage | None = None
    evaluate: EvaluateStage | None = None
    compare: CompareStage | None = None
    promote: PromoteStage | None = None


class Recipe(_Part):
    """The whole file."""

    work: Path = Field(description="Folder for everything that is written, and for the state.")
    data: dict[str, Path | None] = Field(default={}, description="Paths by name; null: must be given with --set.")
    taxonomy: str = Field(
        default=CHAT_13.name,
        description="Name or TOML file of the categories; a stage that names none of its own has these.",
    )
    threads: int = Field(default=0, ge=0, description="0 follows the CPU quota.")
    stages: Stages


def read_recipe(path: Path, settings: Sequence[str] = ()) -> Recipe:
    """Read a recipe.

    Args:
        path: The YAML file.
        settings: `dotted.name=value` each, values in YAML; they take the place of the file's.

    Raises:
        ValueError: it is no YAML, a key is unknown, a value does not fit, or a path of `data` is used and has none.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ValueError(
            f"{path}: cannot be read ({error}); expected a recipe in YAML, such as recipes/smoke.yaml"
        ) from error
    if not isinstance(document, dict):
        raise ValueError(f"{path}: holds a {type(document).__name__}; expected work, data and stages")  # noqa: TRY004
    for setting in settings:
        _set(document, setting)
    names = document.get("data") or {}
    if not isinstance(names, dict):
        raise ValueError(f"{path}: not a recipe: data is {names!r}; expected paths by name")  # noqa: TRY004
    try:
        stages = _filled(document.get("stages"), names, path)
        return Recipe.model_validate({**document, "stages": _with_taxonomy(stages, document.get("taxonomy"))})
    except ValidationError as error:
        raise ValueError(f"{path}: not a recipe: {'; '.join(_faults(error))}") from error


def _faults(error: ValidationError) -> Iterator[str]:
    """Yield where each fault is and what is expected there, as the file and --set write places and values."""
    for fault in error.errors(include_url=False):
        place = ".".join(map(str, fault["loc"])) or "the file"
        message = fault["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
        if fault["type"] == "extra_forbidden":
            yield f"{place}: no such name; take it out, or correct it"
        elif fault["type"] == "missing":
            yield f"{place}: missing; add it, or --set {place}=VALUE"
        elif fault["type"] == "value_error":
            yield f"{place}: {message}"
        else:
            found = "null" if fault["input"] is None else repr(fault["input"])[:_MOST_SHOWN_CHARACTERS]
            expected = message.replace("a valid tuple", "a list, such as [] or [a, b]").replace("a valid ", "a ")
            yield f"{place}: found {found}; expected {expected}"


def _with_taxonomy(stages: Any, taxonomy: Any) -> Any:
    """Return the stages, with the recipe's categories where they name none; in a table's only where it has labels."""
    if taxonomy is None or not isinstance(stages, dict):
        return stages
    filled = dict(stages)
    for name, inner in (
        ("head", "config"),
        ("train", "config"),
        ("distil", "config"),
        ("agree", "options"),
        ("extract", "table"),
    ):
        stage = filled.get(name)
        if not isinstance(stage, dict) or not isinstance(fields := stage.get(inner) or {}, dict):
            continue
        if inner != "table" or fields.get("label_column"):
            filled[name] = {**stage, inner: {"taxonomy": taxonomy, **fields}}
    return filled


def _set(document: dict[str, Any], setting: str) -> None:
    name, found, text = setting.partition("=")
    *parents, last = name.split(".")
    place = document
    for parent in parents:
        if place.get(parent) is None:
            place[parent] = {}
        place = place[parent]
        if not isinstance(place, dict):
            raise ValueError(f"--set {setting}: {parent} holds no names; expected dotted.name=value")  # noqa: TRY004
    if not found or not last:
        raise ValueError(f"--set {setting}: expected dotted.name=value, such as data.train=chats.jsonl")
    try:
        place[last] = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(f"--set {setting}: the value is not YAML ({error})") from error


def _filled(value: Any, names: Mapping[str, Any], path: Path) -> Any:
    """Return the value with every `${data.NAME}` replaced."""
    if isinstance(value, dict):
        return {key: _filled(inner, names, path) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, names, path) for inner in value]
    if not isinstance(value, str):
        return value

    def path_of(reference: re.Match[str]) -> str:
        if names.get(reference[1]) is None:
            raise ValueError(f"{path}: data.{reference[1]} has no value; add --set data.{reference[1]}=PATH")
        return str(names[reference[1]])

    return _REFERENCE.sub(path_of, value)
