"""Fine-tune the encoder on labelled chats, with a checkpoint after each epoch.

Batches hold chats of similar length, so that little time goes into padding; their order is shuffled with the seed.
An interrupted run continues after its last complete epoch.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import structlog
import torch
from numpy.typing import NDArray
from pydantic import BaseModel
from rich.console import Console
from rich.progress import track
from safetensors.torch import load_file, save_file

from model.tokenization import ConversationTokenizer, TokenIds
from schemas import DEFAULT_BANNED
from training_pipeline.allocator import keep_freed_memory
from training_pipeline.data_record import DATA_NAME, DataRecord, record_data
from training_pipeline.disguised_rows import with_disguised
from training_pipeline.encoder_classifier import EncoderClassifier, pad_batch
from training_pipeline.encoder_files import default_encoder_path
from training_pipeline.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.loss import classification_loss
from training_pipeline.metrics import banned_to_safe_at, safety_metrics
from training_pipeline.split import calibration_split
from training_pipeline.train_config import CONFIG_NAME, TrainConfig

log = structlog.get_logger()

MARKER_NAME: Final = "done.json"
LOG_NAME: Final = "log.jsonl"

_BUCKET_BATCHES: Final = 24
"""Batches whose chats are sorted by length together: enough to save padding, few enough to keep batches random."""


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
    dev: Path,
    out: Path,
    config: TrainConfig,
    *,
    licence_classes: frozenset[str] = frozenset(),
    encoder: Path | None = None,
) -> Path:
    """Read the chats, hold the calibration part out, train on the rest and return the last checkpoint's path.

    Args:
        data: Labelled chats, JSON lines.
        dev: Labelled chats that are only reported on after each epoch.
        out: The run's folder; an interrupted run in it is continued.
        config: Everything else that decides the run.
        licence_classes: Keep only chats of these classes; empty keeps all.
        encoder: Folder of the pretrained encoder; the packaged MiniLM where None.

    Raises:
        ValueError: a file holds something else, or the folder holds another run.
    """
    encoder = encoder or default_encoder_path()
    chats = read_labelled_chats(data, config.windowing, licence_classes)
    dev_chats = read_labelled_chats([dev], config.windowing, frozenset())
    _claim_folder(out, config, record_data(data, chats, licence_classes))
    training, held_out = calibration_split(chats.labels, calibration_ratio=config.calibration_ratio, seed=config.seed)
    log.info("chats_read", n_training=len(training), n_held_out=len(held_out), n_rejected=sum(chats.rejected.values()))
    tokenizer = ConversationTokenizer(
        (encoder / "tokenizer.json").read_text(encoding="utf-8"), max_tokens=config.windowing.max_tokens
    )
    keep_freed_memory()
    torch.manual_seed(config.seed)
    model = EncoderClassifier.from_pretrained(encoder, dropout=config.dropout, encoder_dropout=config.encoder_dropout)
    return train(model, chats.take(training), dev_chats, tokenizer, config=config, folder=out)


def _claim_folder(folder: Path, config: TrainConfig, record: DataRecord) -> None:
    """Write down what decides the run, and refuse a folder in which another run was begun."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, described in ((CONFIG_NAME, config), (DATA_NAME, record)):
        path, content = folder / name, _described(described)
        if path.exists() and path.read_bytes() != content:
            raise ValueError(f"{path}: is of another run; continue with that run's arguments, or name another folder")
        path.write_bytes(content)


def _described(described: BaseModel) -> bytes:
    return orjson.dumps(described.model_dump(mode="json"), option=orjson.OPT_INDENT_2)


@torch.inference_mode()
def predict_logits(
    model: EncoderClassifier, rows: list[TokenIds], pad_id: int, *, batch_rows: int = 64
) -> NDArray[np.float32]:
    """Return logits, float32 [n_rows, 13], in the order of `rows`."""
    model.eval()
    order = np.argsort([len(row) for row in rows], kind="stable")
    logits = np.empty((len(rows), model.head.out_features), dtype=np.float32)
    for start in range(0, len(order), batch_rows):
        index = order[start : start + batch_rows]
        logits[index] = model(*pad_batch([rows[i].tolist() for i in index], pad_id)).numpy()
    return logits


def train(
    model: EncoderClassifier,
    training: LabelledChats,
    dev: LabelledChats,
    tokenizer: ConversationTokenizer,
    *,
    config: TrainConfig,
    folder: Path,
) -> Path:
    """Train and return the path of the last epoch's weights (safetensors)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_NAME).write_bytes(_described(config))
    rows, dev_rows = training.encode(tokenizer), dev.encode(tokenizer)
    run = _Run.start(model, config, n_steps=config.n_epochs * math.ceil(len(rows) / config.batch_rows))
    for epoch in range(_resume(folder, run) + 1, config.n_epochs + 1):
        # A seed per epoch: a resumed run sees the batches that an uninterrupted one would have seen.
        torch.manual_seed(config.seed + epoch)
        epoch_rows = with_disguised(training, rows, tokenizer, config, epoch=epoch)
        loss = _train_epoch(run, training, epoch_rows, pad_id=tokenizer.pad_id, epoch=epoch)
        _save(folder, epoch, run)
        report = _dev_report(model, dev, dev_rows, tokenizer.pad_id)
        log.info("epoch_done", epoch=epoch, loss=round(loss, 4), **report)
        with (folder / LOG_NAME).open("ab") as out:
            out.write(orjson.dumps({"epoch": epoch, "loss": loss, **report}) + b"\n")
    return folder / f"epoch-{config.n_epochs}.safetensors"


@dataclass(frozen=True)
class _Run:
    """What changes while training."""

    model: EncoderClassifier
    config: TrainConfig
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LambdaLR

    @classmethod
    def start(cls, model: EncoderClassifier, config: TrainConfig, *, n_steps: int) -> "_Run":
        """Set up AdamW with a linear warm-up and a linear decay to zero over `n_steps`."""
        optimizer = torch.optim.AdamW(
            [
                {"params": list(model.encoder.parameters()), "lr": config.encoder_lr},
                {"params": list(model.head.parameters()), "lr": config.head_lr},
            ],
            weight_decay=config.weight_decay,
            fused=True,
        )
        n_warmup = max(1, int(config.warmup_ratio * n_steps))
        n_decay = max(1, n_steps - n_warmup)

        def factor(step: int) -> float:
            return min((step + 1) / n_warmup, max(0.0, (n_steps - step) / n_decay))

        return cls(model, config, optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor))


def _train_epoch(run: _Run, training: LabelledChats, rows: list[TokenIds], *, pad_id: int, epoch: int) -> float:
    model, config = run.model, run.config
    model.train()
    groups = list(batches(rows, config.batch_rows, np.random.default_rng(config.seed + epoch)))
    total = 0.0
    for group in track(groups, description=f"epoch {epoch}/{config.n_epochs}", console=Console(stderr=True)):
        ids, mask = pad_batch([rows[i].tolist() for i in group], pad_id)
        target = torch.from_numpy(training.soft_labels[group])
        with torch.autocast("cpu", torch.bfloat16, enabled=config.bf16):
            logits = model(ids, mask)
        loss = classification_loss(logits, target, config)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        run.optimizer.step()
        run.schedule.step()
        run.optimizer.zero_grad(set_to_none=True)
        total += loss.item()
    return total / len(groups)


def _dev_report(model: EncoderClassifier, dev: LabelledChats, rows: list[TokenIds], pad_id: int) -> dict[str, Any]:
    logits = predict_logits(model, rows, pad_id)
    agreed = dev.agreed
    probabilities = torch.softmax(torch.from_numpy(logits), dim=1).numpy()[agreed]
    report = safety_metrics(dev.labels[agreed], probabilities.argmax(axis=1), DEFAULT_BANNED).as_dict()
    at_3 = banned_to_safe_at(dev.labels[agreed], probabilities, DEFAULT_BANNED, safe_to_banned_rate=0.029)
    return {**report, "banned_to_safe_at_2.9": round(at_3, 4)}


def _save(folder: Path, epoch: int, run: _Run) -> None:
    save_file(run.model.state_dict(), folder / f"epoch-{epoch}.safetensors")
    state = run.optimizer.state_dict()["state"]
    moments = {f"{i}.{name}": value for i, entry in state.items() for name, value in entry.items()}
    save_file(moments, folder / f"optimizer-{epoch}.safetensors")
    # The marker is replaced in one step, and only after both files of its epoch are complete.
    marker = folder / MARKER_NAME
    marker.with_suffix(".new").write_bytes(orjson.dumps({"epoch": epoch}))
    marker.with_suffix(".new").replace(marker)
    (folder / f"optimizer-{epoch - 1}.safetensors").unlink(missing_ok=True)


def _resume(folder: Path, run: _Run) -> int:
    """Load the last complete epoch, if any, and return its number."""
    marker = folder / MARKER_NAME
    if not marker.exists():
        return 0
    epoch: int = orjson.loads(marker.read_bytes())["epoch"]
    run.model.load_state_dict(load_file(folder / f"epoch-{epoch}.safetensors"))
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(folder / f"optimizer-{epoch}.safetensors").items():
        position, _, moment = name.partition(".")
        state.setdefault(int(position), {})[moment] = value
    run.optimizer.load_state_dict({"state": state, "param_groups": run.optimizer.state_dict()["param_groups"]})
    n_steps = int(next(iter(state.values()))["step"].item()) if state else 0
    schedule = run.schedule
    schedule.load_state_dict({**schedule.state_dict(), "last_epoch": n_steps, "_step_count": n_steps + 1})
    for group, factor, base_lr in zip(run.optimizer.param_groups, schedule.lr_lambdas, schedule.base_lrs, strict=True):
        group["lr"] = base_lr * factor(n_steps)
    log.info("run_resumed", epoch=epoch, n_steps=n_steps)
    return epoch
