"""What each stage of a recipe reads, writes and calls: the same functions as the commands.

A stage is described without running it, so that a plan can be shown; where a stage names no input of its own, it reads
what the stage before it writes.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel
from rich.console import Console

from model.inference.cpu_quota import available_cpus
from schemas import taxonomy_of
from training_pipeline.distil.layout import CHATS_NAME, RUN_NAME, STUDENT_NAME
from training_pipeline.encoder.files import resolve_encoder
from training_pipeline.encoder.packages import MINILM
from training_pipeline.recipe import actions
from training_pipeline.recipe.code import code_digest, with_imports
from training_pipeline.recipe.config import Recipe
from training_pipeline.recipe.layout import Layout

_CODE: Final[Mapping[str, tuple[str, ...]]] = {
    "extract": ("data.extract", "data.table_chats"),
    "preprocess": ("data.preprocess",),
    "label": ("data.label", "data.recorded_answers"),
    "agree": ("data.agree",),
    "split": ("data.grouped_split",),
    "head": ("train.train", "bundle.export"),
    "train": ("train.train", "encoder.layers"),
    "distil": ("distil.distil",),
    "calibrate": ("train.checkpoints",),
    "export": ("bundle.export",),
    "evaluate": ("quality.evaluate", "quality.guarantee_report"),
    "compare": ("report.commands", "report.measure", "report.html", "report.category_report"),
    "promote": ("release.gated_promotion",),
}
"""Where each stage's code begins; what these modules import belongs to it (`training_pipeline.recipe.code`)."""

STAGES: Final = tuple(_CODE)

_T = TypeVar("_T")


@dataclass(frozen=True)
class Task:
    """One stage, ready to run."""

    name: str
    arguments: Any
    """What decides the outcome besides the inputs and the code; fit for JSON."""
    inputs: list[Path]
    outputs: list[Path]
    """Files and folders that must still be as they were for the stage to count as done."""
    run: Callable[[], str]
    """Does the work and returns one line about it."""
    code: tuple[str, ...]
    """Modules whose source decides the outcome: where one changes, the stage runs again."""


def tasks_of(recipe: Recipe, console: Console) -> list[Task]:
    """Return the recipe's stages in order.

    Raises:
        ValueError: a stage names no input and the stage that would write it is left out.
    """
    return list(_Tasks(recipe, Layout(recipe.work), console).all())


@dataclass(frozen=True)
class _Trained:
    """A run, the chats it learned from, and the encoder it started from."""

    run: Path
    data: list[Path]
    encoder: Path

    @property
    def inputs(self) -> list[Path]:
        return [self.run, *self.data, self.encoder / "config.json"]


@dataclass(frozen=True)
class _Tasks:
    recipe: Recipe
    at: Layout
    console: Console

    def all(self) -> Iterator[Task]:
        for name in STAGES:
            if getattr(self.recipe.stages, name) is not None:
                yield getattr(self, f"_{name}")()

    @property
    def _n_threads(self) -> int:
        return self.recipe.threads or available_cpus()

    def _task(self, name: str, inputs: list[Path], outputs: list[Path], run: Callable[[], str]) -> Task:
        stage: BaseModel = getattr(self.recipe.stages, name)
        arguments = {
            **stage.model_dump(mode="json"),
            "taxonomy": taxonomy_of(self.recipe.taxonomy).model_dump(mode="json"),
        }
        return Task(name, arguments, inputs, outputs, run, code_of(name))

    def _chats(self, given: list[Path], stage: str) -> list[Path]:
        stages = self.recipe.stages
        if given:
            return given
        if stages.preprocess is not None and stage != "preprocess":
            return [self.at.clean]
        if stages.extract is not None:
            return [self.at.raw]
        raise ValueError(f"stages.{stage}: names no data, and no stage before it writes any; add data: [PATH]")

    def _extract(self) -> Task:
        stage = _present(self.recipe.stages.extract)
        run = partial(actions.extract, stage, self.at.raw)
        return self._task("extract", stage.records, [self.at.raw], run)

    def _preprocess(self) -> Task:
        stage = _present(self.recipe.stages.preprocess)
        data = self._chats(stage.data, "preprocess")
        run = partial(actions.preprocess, stage, data, self.at.clean)
        return self._task("preprocess", data, [self.at.clean], run)

    def _label(self) -> Task:
        stage = _present(self.recipe.stages.label)
        data = self._chats(stage.data, "label")
        sources = stage.recorded or [_present(stage.annotators)]
        run = partial(
            actions.label, stage, data, self.at.answers, os.environ, self.console, taxonomy=self.recipe.taxonomy
        )
        return self._task("label", [*data, *sources], [self.at.answers], run)

    def _agree(self) -> Task:
        stage = _present(self.recipe.stages.agree)
        data = self._chats(stage.data, "agree")
        answers = stage.answers or ([self.at.answers] if self.recipe.stages.label else [])
        run = partial(actions.agree, stage, data, answers, self.at.labelled, self.console)
        return self._task("agree", [*data, *answers, *stage.tables], [self.at.labelled], run)

    def _split(self) -> Task:
        stage = _present(self.recipe.stages.split)
        data = stage.data or self._labelled()
        outputs = [self.at.splits / f"{name}.jsonl" for name in stage.ratios]
        run = partial(actions.split, stage, data, self.at.splits, taxonomy=self.recipe.taxonomy)
        return self._task("split", [*data, *stage.exclude], outputs, run)

    def _labelled(self) -> list[Path]:
        """Return the chats to split: what annotators agreed on, else those that came with labels, from a table."""
        stages = self.recipe.stages
        if stages.agree is not None:
            return [self.at.labelled]
        if stages.extract is not None and stages.extract.table is not None and stages.extract.table.label_column:
            return self._chats([], "split")
        raise ValueError("stages.split: names no data, and `agree` is left out; add data: [PATH]")

    def _split_file(self, names: tuple[str, ...], stage: str) -> Path:
        split = self.recipe.stages.split
        for name in names:
            if split is not None and name in split.ratios:
                return self.at.splits / f"{name}.jsonl"
        raise ValueError(f"stages.{stage}: names no data, and no split {' or '.join(names)} is written; name it")

    @property
    def _training_data(self) -> list[Path]:
        return _present(self.recipe.stages.train).data or [self._split_file(("train",), "train")]

    @property
    def _dev(self) -> Path:
        return _present(self.recipe.stages.train).dev or self._split_file(("dev",), "train")

    @property
    def _encoder(self) -> Path:
        stage = self.recipe.stages.train
        return (
            self.at.encoder if stage and stage.encoder_layers else resolve_encoder(stage.encoder if stage else MINILM)
        )

    def _head(self) -> Task:
        stage = _present(self.recipe.stages.head)
        data = stage.data or [self._split_file(("train",), "head")]
        dev = stage.dev or self._split_file(("dev",), "head")
        evaluation = stage.evaluate or [self._split_file(("test", "dev"), "head")]
        encoder = resolve_encoder(stage.encoder)
        run = partial(
            actions.head,
            stage,
            data,
            dev,
            evaluation=evaluation,
            encoder=encoder,
            out=(self.at.head_run, self.at.head_bundle),
            n_threads=self._n_threads,
        )
        inputs = [*data, dev, *evaluation, encoder / "config.json", *_given(stage.policy)]
        return self._task("head", inputs, [self.at.head_run, self.at.head_bundle], run)

    def _train(self) -> Task:
        stage = _present(self.recipe.stages.train)
        data, dev = self._training_data, self._dev
        start = resolve_encoder(stage.encoder) / "config.json"
        run = partial(
            actions.train,
            stage,
            data,
            dev,
            encoder=self._encoder,
            out=self.at.run,
            code=code_digest(code_of("train")),
            n_threads=self._n_threads,
        )
        outputs = [self.at.run, *([self.at.encoder] if stage.encoder_layers else [])]
        return self._task("train", [*data, dev, start], outputs, run)

    def _trained(self, name: str) -> _Trained:
        """Return the run that becomes a bundle: the student's where there is one."""
        stages = self.recipe.stages
        if stages.train is None and (stages.distil is None or stages.distil.soft_labels is None):
            raise ValueError(f"stages.{name}: needs the stage `train` in the same recipe; add it")
        if stages.distil is None:
            return _Trained(self.at.run, self._training_data, self._encoder)
        at = self.at.distilled
        return _Trained(at / RUN_NAME, [at / CHATS_NAME], at / STUDENT_NAME)

    def _distil(self) -> Task:
        stage, train = _present(self.recipe.stages.distil), self.recipe.stages.train
        if train is None and stage.soft_labels is None:
            raise ValueError(
                "stages.distil: needs the stage `train` in the same recipe, its first teacher, or soft_labels; add one"
            )
        data = stage.data or (train.data if train else []) or [self._split_file(("train",), "distil")]
        dev = stage.dev or (train.dev if train else None) or self._split_file(("dev",), "distil")
        table = _given(stage.soft_labels)
        run = partial(
            actions.distil,
            stage,
            None if table else self.at.run,
            data,
            dev,
            licence_classes=stage.licence_classes or (train.licence_classes if train else []),
            out=self.at.distilled,
            n_threads=self._n_threads,
        )
        inputs = [*(table or [self.at.run]), *data, dev, *stage.teachers, *stage.unlabelled]
        return self._task("distil", inputs, [self.at.distilled], run)

    def _calibrate(self) -> Task:
        trained = self._trained("calibrate")
        run = partial(
            actions.compare_checkpoints,
            trained.run,
            trained.data,
            encoder=trained.encoder,
            out=self.at.checkpoints,
            n_threads=self._n_threads,
            console=self.console,
        )
        return self._task("calibrate", trained.inputs, [self.at.checkpoints], run)

    def _evaluation_data(self, given: list[Path], stage: str) -> list[Path]:
        export = self.recipe.stages.export
        return given or (export.evaluate if export else []) or [self._split_file(("test", "dev"), stage)]

    def _export(self) -> Task:
        stage = _present(self.recipe.stages.export)
        trained = self._trained("export")
        data = self._evaluation_data(stage.evaluate, "export")
        run = partial(
            actions.export,
            stage,
            trained.run,
            trained.data,
            evaluation=data,
            encoder=trained.encoder,
            out=self.at.bundle,
            n_threads=self._n_threads,
            console=self.console,
        )
        inputs = [*trained.inputs, *data, *_given(stage.probes)]
        return self._task("export", inputs, [self.at.bundle], run)

    def _bundle(self, name: str) -> Path:
        if self.recipe.stages.export is None:
            raise ValueError(f"stages.{name}: needs the stage `export` in the same recipe; add it")
        return self.at.bundle

    def _evaluate(self) -> Task:
        stage = _present(self.recipe.stages.evaluate)
        data, bundle = self._evaluation_data(stage.data, "evaluate"), self._bundle("evaluate")
        outputs = [self.at.evaluation, self.at.guarantee]
        run = partial(
            actions.evaluate,
            stage,
            bundle,
            data,
            out=(outputs[0], outputs[1]),
            n_threads=self._n_threads,
            console=self.console,
        )
        return self._task("evaluate", [bundle, *data, *([stage.policy] if stage.policy else [])], outputs, run)

    def _compare(self) -> Task:
        stage, stages = _present(self.recipe.stages.compare), self.recipe.stages
        own = ([self.at.head_bundle] if stages.head else []) + ([self.at.bundle] if stages.export else [])
        bundles = [*own, *stage.bundles]
        if not bundles:
            raise ValueError(
                "stages.compare: no bundle to compare; add the stage `head` or `export`, or bundles: [PATH]"
            )
        data = stage.data or self._evaluation_data([], "compare")
        outputs = [self.at.comparison, self.at.comparison_page, self.at.comparison_text]
        run = partial(
            actions.compare,
            stage,
            bundles,
            data,
            answers=self.at.llm_answers,
            out=(outputs[0], outputs[1], outputs[2]),
            n_threads=self._n_threads,
            console=self.console,
        )
        return self._task("compare", [*bundles, *data, *_given(stage.llm), *_given(stage.policy)], outputs, run)

    def _promote(self) -> Task:
        stage = _present(self.recipe.stages.promote)
        data, bundle = self._evaluation_data(stage.data, "promote"), self._bundle("promote")
        run = partial(actions.promote, stage, bundle, data, self._n_threads, self.console)
        # No outputs: a later rollback changes the pointer, and must not be undone by running the recipe again.
        return self._task("promote", [bundle, *data, *_given(stage.probes)], [], run)


def _given(path: Path | None) -> list[Path]:
    return [] if path is None else [path]


def code_of(stage: str) -> tuple[str, ...]:
    """Return the modules that decide what a stage writes."""
    return with_imports(tuple(f"training_pipeline.{module}" for module in _CODE[stage]))


def _present(value: _T | None) -> _T:
    if value is None:
        raise ValueError("a stage was planned that the recipe leaves out; expected only its own stages")
    return value
