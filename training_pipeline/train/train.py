"""Fine-tune the encoder on labelled chats, with a checkpoint after each epoch.

Batches hold chats of similar length, so that little time goes into padding; their order is shuffled with the seed.
An interrupted run goes on where it was last written down, within an epoch too. Under `accelerate launch` several
processes share the chats of each step; the run's folder must then be visible to all of them.
"""

import ctypes
import ctypes.util
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model.tokenization import ConversationTokenizer, TokenIds
from training_pipeline.augment.rows import augmented_rows
from training_pipeline.chats.data_record import record_data
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.chats.soft_targets import training_targets
from training_pipeline.chats.split import split_parts
from training_pipeline.chats.usable import usable_chats
from training_pipeline.encoder.classifier import EncoderClassifier, pad_batch
from training_pipeline.encoder.files import check_encoder, default_encoder_path
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.figures import dev_figures, selection_figures
from training_pipeline.train.frozen import train_head
from training_pipeline.train.loss import class_weights_of, classification_loss
from training_pipeline.train.run_folder import (
    append_log,
    best_epoch,
    claim_folder,
    is_stopped,
    read_log,
    record_best,
    weights_path,
)
from training_pipeline.train.state import PartOfEpoch, TrainingState, start_accelerator

log = structlog.get_logger()

OnEpoch = Callable[[Mapping[str, Any]], None]

_MALLOC_OPTIONS: Final = {-4: 0, -1: 2**31 - 1, -2: 256 * 2**20}
"""M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD of malloc.h."""

_BUCKET_BATCHES: Final = 24
"""Batches whose chats are sorted by length together: enough to save padding, few enough to keep batches random."""

PART_S: Final = 600.0
"""How often an epoch that is under way is written down: what an interruption costs at most."""

_SEED_STRIDE: Final = 1_000_003
"""Keeps the dropout masks of the processes apart."""


def batches(rows: list[TokenIds], batch_rows: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    """Yield every position once, in shuffled batches of similar length."""
    order = rng.permutation(len(rows))
    groups: list[NDArray[np.int64]] = []
    for start in range(0, len(order), batch_rows * _BUCKET_BATCHES):
        bucket = order[start : start + batch_rows * _BUCKET_BATCHES]
        bucket = bucket[np.argsort([len(rows[i]) for i in bucket], kind="stable")]
        groups.extend(bucket[i : i + batch_rows] for i in range(0, len(bucket), batch_rows))
    for group in rng.permutation(len(groups)):
        yield groups[group]


def run_training(
    data: Sequence[Path],
    dev: Path | None,
    out: Path,
    config: TrainConfig,
    *,
    licence_classes: frozenset[str] = frozenset(),
    encoder: Path | None = None,
    cpu: bool = False,
) -> Path:
    """Read the chats, hold the calibration part out, train on the rest and return the chosen checkpoint's path.

    Args:
        data: Labelled chats, JSON lines.
        dev: Labelled chats that are only reported on after each epoch; None reports on none.
        out: The run's folder; an interrupted run in it is continued.
        config: Everything else that decides the run.
        licence_classes: Keep only chats of these classes; empty keeps all.
        encoder: Folder of the pretrained encoder; the packaged MiniLM where None.
        cpu: Train on the CPU even where there is a GPU.

    Returns:
        The last epoch's weights, or the best one's where the run may stop early.

    Raises:
        ValueError: a file holds something else, the folder holds another run, or the encoder or the hardware cannot
            do what the configuration asks.
    """
    encoder = encoder or default_encoder_path()
    check_encoder(encoder, max_tokens=config.windowing.max_tokens)
    accelerator = start_accelerator(config, cpu=cpu)
    chats = usable_chats(read_labelled_chats(data, config.windowing, licence_classes, config.taxonomy))
    dev_chats = None if dev is None else read_labelled_chats([dev], config.windowing, frozenset(), config.taxonomy)
    with accelerator.main_process_first():
        claim_folder(out, config, record_data(data, chats, licence_classes), encoder)
    parts = split_parts(chats, config)
    log.info(
        "chats_read",
        n_training=len(parts.training),
        n_held_out=len(parts.held_out),
        n_rejected=sum(chats.rejected.values()),
        n_rejected_by_reason=chats.rejected,
    )
    tokenizer = ConversationTokenizer(
        (encoder / "tokenizer.json").read_text(encoding="utf-8"), max_tokens=config.windowing.max_tokens
    )
    _keep_freed_memory()
    torch.manual_seed(config.seed)
    model = EncoderClassifier.from_pretrained(
        encoder,
        n_categories=len(config.taxonomy.codes),
        dropout=config.dropout,
        encoder_dropout=config.encoder_dropout,
        pooling=config.pooling,
        hidden_layer=config.hidden_layer,
    )
    if config.frozen_encoder:
        if accelerator.num_processes > 1:
            raise ValueError(
                f"frozen_encoder in {accelerator.num_processes} processes; expected one: a head trains in seconds; run "
                "`python -m training_pipeline train` without accelerate launch"
            )
        reported = {} if dev_chats is None else {"dev": (dev_chats, dev_figures)}
        reported["selection"] = (chats.take(parts.selection), selection_figures)
        return train_head(model, chats.take(parts.training), reported, tokenizer, config=config, folder=out)
    return train(
        model,
        chats.take(parts.training),
        dev_chats,
        tokenizer,
        config=config,
        folder=out,
        selection=chats.take(parts.selection),
        cpu=cpu,
    )


@torch.inference_mode()
def predict_logits(
    model: EncoderClassifier, rows: list[TokenIds], pad_id: int, *, batch_rows: int = 64
) -> NDArray[np.float32]:
    """Return logits in full precision, float32 [n_rows, n_categories], in the order of `rows`."""
    model.eval()
    device = model.head.weight.device
    order = np.argsort([len(row) for row in rows], kind="stable")
    logits = np.empty((len(rows), model.head.out_features), dtype=np.float32)
    for start in range(0, len(order), batch_rows):
        index = order[start : start + batch_rows]
        ids, mask = pad_batch([rows[i].tolist() for i in index], pad_id)
        # The class's own forward: accelerate may have put one with autocast on the instance.
        logits[index] = EncoderClassifier.forward(model, ids.to(device), mask.to(device)).cpu().numpy()
    return logits


def train(
    model: EncoderClassifier,
    training: LabelledChats,
    dev: LabelledChats | None,
    tokenizer: ConversationTokenizer,
    *,
    config: TrainConfig,
    folder: Path,
    selection: LabelledChats | None = None,
    cpu: bool = False,
    on_epoch: OnEpoch | None = None,
) -> Path:
    """Train and return the path of the chosen epoch's weights: the last, or the best if the run may stop early.

    Args:
        model: The network to train, in place.
        training: Chats to learn from.
        dev: Chats that are reported on and decide nothing.
        tokenizer: The encoder's.
        config: Everything that decides the run.
        folder: The run's folder.
        selection: Chats whose figures choose the epoch.
        cpu: Train on the CPU even where there is a GPU.
        on_epoch: Called with each epoch's figures; may raise to end the run.
    """
    if config.early_stopping_patience > 0 and selection is None:
        raise ValueError("early_stopping_patience is set; expected chats to select by")
    folder.mkdir(parents=True, exist_ok=True)
    accelerator = start_accelerator(config, cpu=cpu)
    rows = training.encode(tokenizer)
    reported = _Reported(dev, selection, tokenizer, config)
    n_steps = config.n_epochs * math.ceil(len(rows) / config.batch_rows)
    run = TrainingState.start(accelerator, model, config, n_steps=n_steps)
    marker = run.resume(folder)
    if marker["epoch"] and marker["epoch"] not in read_log(folder):
        _report(run, reported, folder, marker, on_epoch)
    for epoch in range(marker["epoch"] + 1, config.n_epochs + 1):
        if is_stopped(folder, config):
            log.info("stopped_early", n_epochs_done=epoch - 1)
            break
        # A seed per epoch: a resumed run sees the batches that an uninterrupted one would have seen.
        torch.manual_seed(config.seed + epoch + _SEED_STRIDE * accelerator.process_index)
        epoch_rows = augmented_rows(training, rows, tokenizer, config, epoch=epoch)
        loss = _train_epoch(run, training, epoch_rows, pad_id=tokenizer.pad_id, epoch=epoch, folder=folder)
        run.save(folder, epoch, loss)
        _report(run, reported, folder, {"epoch": epoch, "loss": loss}, on_epoch)
    best = best_epoch(folder, config) if config.early_stopping_patience > 0 else None
    return weights_path(folder, config.n_epochs if best is None else best.epoch)


def _train_epoch(
    run: TrainingState, training: LabelledChats, rows: list[TokenIds], *, pad_id: int, epoch: int, folder: Path
) -> float:
    """Go over the chats once, from where an interrupted run stood, and return the mean loss over steps."""
    config, accelerator, device = run.config, run.accelerator, run.accelerator.device
    target = torch.from_numpy(training_targets(training, config))
    weights = class_weights_of(config, target)
    weights = None if weights is None else weights.to(device)

    def loss_of(part: NDArray[np.int64]) -> torch.Tensor:
        ids, mask = pad_batch([rows[i].tolist() for i in part], pad_id)
        logits = run.network(ids.to(device), mask.to(device))
        return classification_loss(logits, target[part].to(device), config, class_weights=weights)

    run.network.train()
    groups = list(batches(rows, config.batch_rows, np.random.default_rng(config.seed + epoch)))
    done = run.resume_part(folder, epoch) or PartOfEpoch(epoch, 0, 0.0)
    total, written_s = done.loss, time.monotonic()
    shown = track(
        enumerate(groups[done.n_steps :], done.n_steps + 1),
        total=len(groups),
        completed=done.n_steps,
        description=f"epoch {epoch}/{config.n_epochs}",
        console=Console(stderr=True),
        disable=not accelerator.is_main_process,
    )
    for n_steps, group in shown:
        total += run.step(group, loss_of)
        # Several processes would have to agree on the moment; where they are, an epoch is short.
        if accelerator.num_processes == 1 and time.monotonic() - written_s >= PART_S and n_steps < len(groups):
            run.save_part(folder, PartOfEpoch(epoch, n_steps, total))
            written_s = time.monotonic()
    if accelerator.num_processes > 1:
        total = float(accelerator.reduce(torch.tensor(total, device=device), reduction="mean"))
    return total / len(groups)


class _Reported:
    """Chats that are measured after each epoch, tokenised once."""

    def __init__(
        self,
        dev: LabelledChats | None,
        selection: LabelledChats | None,
        tokenizer: ConversationTokenizer,
        config: TrainConfig,
    ) -> None:
        self._dev, self._selection, self._config, self._pad_id = dev, selection, config, tokenizer.pad_id
        self._dev_rows = [] if dev is None else dev.encode(tokenizer)
        self._selection_rows = [] if selection is None else selection.encode(tokenizer)

    def figures(self, model: EncoderClassifier) -> dict[str, Any]:
        """Return the figures of the agreed dev chats, and those of the selection chats with a fitted temperature."""
        found: dict[str, Any] = {}
        if self._dev is not None:
            found |= dev_figures(predict_logits(model, self._dev_rows, self._pad_id), self._dev)
        if self._selection is not None:
            logits = predict_logits(model, self._selection_rows, self._pad_id)
            found |= selection_figures(logits, self._selection)
        return found


def _report(
    run: TrainingState, reported: _Reported, folder: Path, marker: Mapping[str, Any], on_epoch: OnEpoch | None
) -> None:
    """Measure the epoch and write its figures down; from the main process only."""
    if run.accelerator.is_main_process:
        # A marker that an earlier version wrote holds no loss.
        measured = {name: marker[name] for name in ("epoch", "loss") if name in marker}
        row = {**measured, **reported.figures(run.model)}
        append_log(folder, row)
        record_best(folder, run.config)
        log.info("epoch_done", **row)
        if on_epoch is not None:
            on_epoch(row)
    run.accelerator.wait_for_everyone()


def _keep_freed_memory() -> None:
    """Tell glibc to keep and reuse freed memory; other C libraries are left as they are.

    A step allocates and frees gigabytes of activations. glibc gives large blocks back at once, and in the next step
    every page is faulted in and zeroed again, which was most of a step's time (EXPERIMENTS.md, "Time per step").
    """
    name = ctypes.util.find_library("c")
    mallopt = getattr(ctypes.CDLL(name), "mallopt", None) if name else None
    if mallopt is not None:
        for parameter, value in _MALLOC_OPTIONS.items():
            mallopt(parameter, value)
