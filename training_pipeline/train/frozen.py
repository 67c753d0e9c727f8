"""Train the head alone: the encoder stays as it was pretrained, so each chat is embedded once and an epoch is short.

The optimiser is Adam at a steady rate (`head_lr`). The checkpoint that is kept is the chosen epoch's, whole, so that
whatever reads a run reads this one too.

Invariant: the same chats, encoder and configuration give the same weights; the encoder's are those it came with.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from model.tokenization import ConversationTokenizer, TokenIds
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.chats.soft_targets import training_targets
from training_pipeline.encoder.classifier import EncoderClassifier, pad_batch
from training_pipeline.train.config import TrainConfig
from training_pipeline.train.loss import class_weights_of, classification_loss
from training_pipeline.train.run_folder import (
    LOG_NAME,
    append_log,
    best_epoch,
    chosen_epoch,
    is_stopped,
    read_marker,
    record_best,
    weights_path,
    write_marker,
)

log = structlog.get_logger()

FiguresOf = Callable[[NDArray[np.float32], LabelledChats], dict[str, Any]]
"""Returns figures of logits, float32 [n_chats, n_categories], of these chats."""

_EMBEDDED_ROWS: Final = 64


@torch.inference_mode()
def embed(model: EncoderClassifier, rows: list[TokenIds], pad_id: int) -> torch.Tensor:
    """Return one vector per row, float32 [n_rows, hidden_size], in the order of `rows`."""
    model.eval()
    order = np.argsort([len(row) for row in rows], kind="stable")
    found = torch.empty((len(rows), model.head.in_features))
    for start in range(0, len(order), _EMBEDDED_ROWS):
        index = order[start : start + _EMBEDDED_ROWS]
        ids, mask = pad_batch([rows[i].tolist() for i in index], pad_id)
        found[torch.from_numpy(index)] = model.embed(ids, mask)
    return found


def train_head(
    model: EncoderClassifier,
    training: LabelledChats,
    reported: Mapping[str, tuple[LabelledChats, FiguresOf]],
    tokenizer: ConversationTokenizer,
    *,
    config: TrainConfig,
    folder: Path,
) -> Path:
    """Train the layers after the encoder and return the path of the chosen epoch's weights.

    A run that was interrupted begins anew: it has lost seconds.

    Args:
        model: The network; its encoder is only read.
        training: Chats to learn from.
        reported: Chats that are measured after each epoch, and their figures, by what they are for.
        tokenizer: The encoder's.
        config: Everything that decides the run.
        folder: The run's folder.
    """
    if read_marker(folder)["epoch"]:
        return weights_path(folder, chosen_epoch(folder))
    (folder / LOG_NAME).unlink(missing_ok=True)
    vectors = embed(model, training.encode(tokenizer), tokenizer.pad_id)
    seen = {
        name: (embed(model, chats.encode(tokenizer), tokenizer.pad_id), chats, figures)
        for name, (chats, figures) in reported.items()
    }
    log.info(
        "chats_embedded", n_training=len(vectors), **{f"n_{name}": len(chats) for name, (_, chats, _) in seen.items()}
    )
    target = torch.from_numpy(training_targets(training, config))
    weights = class_weights_of(config, target)
    optimizer = torch.optim.AdamW(model.head_parameters(), lr=config.head_lr, weight_decay=config.weight_decay)
    n_batches = math.ceil(len(vectors) / config.batch_rows)
    kept: dict[str, torch.Tensor] = {}
    for epoch in range(1, config.n_epochs + 1):
        if is_stopped(folder, config):
            log.info("stopped_early", n_epochs_done=epoch - 1)
            break
        torch.manual_seed(config.seed + epoch)
        model.train()
        loss_sum = 0.0
        for batch in torch.randperm(len(vectors)).split(config.batch_rows):
            optimizer.zero_grad()
            loss = classification_loss(model.classify(vectors[batch]), target[batch], config, class_weights=weights)
            loss.backward()
            optimizer.step()
            loss_sum += loss.item()
        row: dict[str, Any] = {"epoch": epoch, "loss": loss_sum / n_batches}
        model.eval()
        for found, chats, figures in seen.values():
            with torch.inference_mode():
                row |= figures(model.classify(found).numpy(), chats)
        append_log(folder, row)
        record_best(folder, config)
        log.info("epoch_done", **row)
        best = best_epoch(folder, config) if config.early_stopping_patience > 0 else None
        if best is None or best.epoch == epoch:
            kept = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    epoch = chosen_epoch(folder)
    save_file(kept, weights_path(folder, epoch))
    write_marker(folder, {"epoch": epoch})
    return weights_path(folder, epoch)
