"""Search for a better training configuration on a subsample of the chats.

The chats that a final run would hold out are put aside first, so a search never sees what later calibrates and carries
the guarantee, nor any dev chat. Trials are compared on chats that none of them trains on.

Invariant: finished trials are kept in a journal and count on the next call; an interrupted one is taken up again, after
its last whole epoch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import optuna
import orjson
import torch
import yaml
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.console import Console
from rich.table import Table
from sklearn.model_selection import train_test_split

from model.bundle.files import sha256_of
from model.tokenization import ConversationTokenizer
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.chats.split import calibration_split, split_chats
from training_pipeline.chats.usable import usable_chats
from training_pipeline.encoder.classifier import EncoderClassifier
from training_pipeline.encoder.files import TOKENIZER_FILE, check_encoder
from training_pipeline.train.config import CONFIG_NAME, Figure, TrainConfig, build_config, nested_fields, read_options
from training_pipeline.train.run_folder import chosen_epoch, read_log
from training_pipeline.train.train import train

JOURNAL_NAME: Final = "trials.journal"
BEST_NAME: Final = "best.yaml"

_STUDY: Final = "verdictstream"
_COMPARED_RATIO: Final = 0.25
"""Of the subsample, the share that trials are compared on: large, because a small one cannot tell them apart."""


class Range(BaseModel):
    """Numbers from low to high; whole ones where both are whole."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: int | float
    high: int | float
    log: bool = False


class Choices(BaseModel):
    """One of several values."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    choices: list[bool | int | float | str] = Field(min_length=1)


class SearchSpace(BaseModel):
    """What stays and what is searched; names are fields of `TrainConfig`, with dots for inner ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fixed: dict[str, Any] = {}
    search: dict[str, Range | Choices] = Field(min_length=1)

    def config(self, chosen: Mapping[str, Any]) -> TrainConfig:
        """Return the configuration with these values for the searched fields."""
        return build_config(None, nested_fields({**self.fixed, **chosen}))

    def suggest(self, trial: optuna.Trial) -> dict[str, Any]:
        """Return a value for each searched field."""
        return {name: _suggested(trial, name, domain) for name, domain in self.search.items()}


@dataclass(frozen=True)
class TuneRequest:
    """What to search, on what, and for how long."""

    data: Sequence[Path]
    out: Path
    space: SearchSpace
    encoder: Path
    n_trials: int
    """Finished trials in all, those of earlier calls included."""
    n_chats: int
    """Size of the subsample, compared chats included; 0 takes all."""
    figure: Figure = "held_out_nll"
    licence_classes: frozenset[str] = frozenset()
    cpu: bool = False


def read_space(path: Path) -> SearchSpace:
    """Read a search space, YAML or TOML.

    Raises:
        ValueError: it is not one, or names a field that TrainConfig does not have.
    """
    try:
        space = SearchSpace.model_validate(read_options(path))
    except ValidationError as error:
        raise ValueError(f"{path}: not a search space: {error}") from error
    first = {
        name: domain.choices[0] if isinstance(domain, Choices) else domain.low for name, domain in space.search.items()
    }
    space.config(first)
    return space


def tune(request: TuneRequest) -> optuna.Study:
    """Run trials until there are as many as asked, and write the best configuration down.

    Raises:
        ValueError: the chats or the encoder do not fit the search space.
    """
    request.out.mkdir(parents=True, exist_ok=True)
    storage = optuna.storages.JournalStorage(JournalFileBackend(str(request.out / JOURNAL_NAME)))
    seed = request.space.config({}).seed
    known = optuna.create_study(study_name=_STUDY, storage=storage, load_if_exists=True)
    _take_up_interrupted(known)
    n_done = len(_finished(known))
    # A sampler with the seed of the first call would propose that call's first trials again.
    study = optuna.load_study(
        study_name=_STUDY, storage=storage, sampler=optuna.samplers.TPESampler(seed=seed + n_done)
    )
    if n_done < request.n_trials:
        study.optimize(lambda trial: _run_trial(trial, request), n_trials=request.n_trials - n_done)
    if best := _completed(study):
        fields = nested_fields({**request.space.fixed, **min(best, key=_value).params})
        (request.out / BEST_NAME).write_text(yaml.safe_dump(fields), encoding="utf-8")
    return study


def trial_rows(study: optuna.Study) -> list[dict[str, Any]]:
    """Return the trials as JSON rows, the best first, then the pruned and failed ones."""
    trials = sorted(study.get_trials(deepcopy=False), key=lambda t: (t.state != TrialState.COMPLETE, _value(t)))
    return [
        {"trial": t.number, "state": t.state.name.lower(), "value": t.value, **t.params}
        for t in trials
        if t.state.is_finished()
    ]


def print_trials(rows: Sequence[dict[str, Any]], figure: str, console: Console) -> None:
    """Print the table for people."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = Table(*names, title=f"Trials by {figure}, smaller is better")
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in names))
    console.print(table)


def _run_trial(trial: optuna.Trial, request: TuneRequest) -> float:
    config = request.space.config(request.space.suggest(trial))
    check_encoder(request.encoder, max_tokens=config.windowing.max_tokens)
    document = orjson.dumps(config.model_dump(mode="json"), option=orjson.OPT_INDENT_2)
    folder = request.out / "trials" / sha256_of(document)[-12:]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_NAME).write_bytes(document)
    if config.frozen_encoder:
        raise ValueError("frozen_encoder: trials fine-tune the encoder; leave it out, a head alone trains in seconds")
    training, compared = _subsample(request, config)
    tokenizer = ConversationTokenizer(
        (request.encoder / TOKENIZER_FILE).read_text(encoding="utf-8"), max_tokens=config.windowing.max_tokens
    )
    torch.manual_seed(config.seed)
    model = EncoderClassifier.from_pretrained(
        request.encoder,
        n_categories=len(config.taxonomy.codes),
        dropout=config.dropout,
        encoder_dropout=config.encoder_dropout,
        pooling=config.pooling,
        hidden_layer=config.hidden_layer,
    )

    def report(row: Mapping[str, Any]) -> None:
        trial.report(row[request.figure], row["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    train(
        model,
        training,
        None,
        tokenizer,
        config=config,
        folder=folder,
        selection=compared,
        cpu=request.cpu,
        on_epoch=report,
    )
    value: float = read_log(folder)[chosen_epoch(folder)][request.figure]
    return value


def _subsample(request: TuneRequest, config: TrainConfig) -> tuple[LabelledChats, LabelledChats]:
    """Return chats to train on and chats to compare on, the same for every trial."""
    base = request.space.config({})
    chats = usable_chats(read_labelled_chats(request.data, config.windowing, request.licence_classes, config.taxonomy))
    kept, _ = split_chats(chats, base)
    if 0 < request.n_chats < len(kept):
        kept, _ = train_test_split(
            kept, train_size=request.n_chats, random_state=base.seed, stratify=chats.labels[kept]
        )
        kept = np.sort(kept)
    training, compared = calibration_split(chats.labels[kept], calibration_ratio=_COMPARED_RATIO, seed=base.seed)
    return chats.take(kept[training]), chats.take(kept[compared])


def _take_up_interrupted(study: optuna.Study) -> None:
    """Queue what an interrupted call left running; its folder has the epochs that were done."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial(trial.params)


def _finished(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))


def _completed(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))


def _value(trial: FrozenTrial) -> float:
    return float("inf") if trial.value is None else trial.value


def _suggested(trial: optuna.Trial, name: str, domain: Range | Choices) -> Any:
    if isinstance(domain, Choices):
        return trial.suggest_categorical(name, domain.choices)
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return trial.suggest_int(name, domain.low, domain.high, log=domain.log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
