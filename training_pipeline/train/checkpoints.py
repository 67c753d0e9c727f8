"""Compare a run's checkpoints on its held-out chats, quantised as they would be served.

Choosing an epoch here uses the chats that later carry the guarantee, so a choice between close epochs costs a little of
its exactness; a choice by the dev set would cost the dev figures their meaning instead.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from model.calibration import LogitScaling
from model.inference.session import OnnxSession
from model.tokenization import ConversationTokenizer
from training_pipeline.bundle.calibrate import session_logits
from training_pipeline.bundle.export import int8_model
from training_pipeline.bundle.scaling_fit import fit_temperature, negative_log_likelihood
from training_pipeline.chats.data_record import read_recorded_chats
from training_pipeline.chats.split import split_chats
from training_pipeline.quality.metrics import banned_to_safe_at, rounded, safety_metrics
from training_pipeline.train.config import read_config


def compare_checkpoints(run: Path, data: Sequence[Path], encoder: Path, *, n_threads: int) -> list[dict[str, Any]]:
    """Return the figures of every checkpoint of a run on its held-out chats.

    Raises:
        ValueError: the files are not those of the run.
    """
    config = read_config(run)
    _, chats = read_recorded_chats(run, data, config)
    _, held_out = split_chats(chats, config)
    chats = chats.take(held_out)
    tokenizer = ConversationTokenizer(
        (encoder / "tokenizer.json").read_text(encoding="utf-8"), max_tokens=config.windowing.max_tokens
    )
    rows, report = chats.encode(tokenizer), []
    for epoch in range(1, config.n_epochs + 1):
        if not (run / f"epoch-{epoch}.safetensors").is_file():
            continue
        session = OnnxSession(
            int8_model(run, epoch, encoder),
            n_threads=n_threads,
            pad_id=tokenizer.pad_id,
            n_categories=len(config.taxonomy.codes),
        )
        logits = session_logits(session, rows)
        temperature = fit_temperature(logits, chats.labels)
        scaling = LogitScaling.single(temperature, logits.shape[1])
        probabilities = scaling.probabilities(logits)
        at_rate = banned_to_safe_at(chats.labels, probabilities, config.banned_columns, safe_to_banned_rate=0.029)
        report.append(
            {
                "epoch": epoch,
                "temperature": temperature,
                "nll": round(negative_log_likelihood(logits, chats.labels, scaling), 4),
                **safety_metrics(chats.labels, probabilities.argmax(axis=1), config.banned_columns).as_dict(),
                "banned_to_safe_rate_at_safe_to_banned_0.029": rounded(at_rate),
            }
        )
    return report


def print_checkpoints(rows: Sequence[dict[str, Any]], console: Console) -> None:
    """Print the table for people."""
    if not rows:
        raise ValueError("the run holds no checkpoint yet; wait for its first epoch")
    table = Table(*rows[0], title="Checkpoints on held-out chats")
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)
