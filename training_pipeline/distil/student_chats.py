"""The chats that a student learns from: the teachers' answers softened, mixed with the annotators', folds decided.

Held out are annotated chats only, and where it is known, only ones that no teacher learned from: the student's
calibration and its conformal guarantee then rest on chats that nothing in its making has seen.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from schemas import Taxonomy
from training_pipeline.chats.soft_targets import soften
from training_pipeline.chats.split import HELD_OUT_FOLD, TRAINING_FOLD, calibration_split
from training_pipeline.data.chat_rows import encode_row
from training_pipeline.data.stage_files import part_path
from training_pipeline.train.config import TrainConfig

_FEWEST: Final = 0.5
"""Of the configured number of held-out chats, the share that must be left where several teachers' are intersected."""


@dataclass(frozen=True)
class Mixing:
    """How the teachers' answers become targets."""

    temperature: float = 1.0
    """Divisor of the logarithms of the teachers' probabilities, > 0."""
    hard_ratio: float = 0.0
    """Weight of the annotators' label of an annotated chat, 0..1."""


def write_student_chats(
    soft_labels: Path,
    out: Path,
    mixing: Mixing,
    config: TrainConfig,
    *,
    unseen: frozenset[str] | None,
    allow_seen: bool = False,
) -> dict[str, Any]:
    """Write the student's chats as JSON lines and return counts.

    Args:
        soft_labels: What `write_soft_labels` wrote.
        out: JSON lines for `train`, with `soft_label` and `fold`.
        mixing: How targets are mixed.
        config: The student's; its calibration_ratio and seeds decide the folds where the teachers do not.
        unseen: Ids of chats that no teacher learned from; None where no teacher knows.
        allow_seen: Hold chats out that a teacher has learned from, if too few others are left.

    Raises:
        ValueError: too few annotated chats are unseen by all teachers.
    """
    rows = [orjson.loads(line) for line in soft_labels.read_bytes().splitlines()]
    held_out, are_unseen = _held_out(rows, config, unseen, allow_seen=allow_seen)
    with part_path(out).open("wb") as file:
        for i, row in enumerate(rows):
            row["soft_label"] = _target(row, mixing, config.taxonomy)
            row["fold"] = HELD_OUT_FOLD if i in held_out else TRAINING_FOLD
            file.write(encode_row(row))
    part_path(out).replace(out)
    return {
        "n_chats": len(rows),
        "n_labelled": sum(row["labelled"] for row in rows),
        "n_taught": sum(row.get("taught", True) for row in rows),
        "n_held_out": len(held_out),
        "held_out_unseen_by_teachers": are_unseen,
    }


def _held_out(
    rows: list[dict[str, Any]], config: TrainConfig, unseen: frozenset[str] | None, *, allow_seen: bool
) -> tuple[set[int], bool]:
    """Return positions to hold out, and whether no teacher has learned from them."""
    labelled = np.array([i for i, row in enumerate(rows) if row["labelled"]], dtype=np.int64)
    n_expected = math.ceil(config.calibration_ratio * len(labelled))
    if unseen is not None:
        found = {int(i) for i in labelled if rows[int(i)]["chat_id"] in unseen}
        if len(found) >= _FEWEST * n_expected:
            return found, True
        if not allow_seen:
            raise ValueError(
                f"{len(found)} annotated chats are unseen by all teachers; expected at least half of {n_expected} to "
                "calibrate on: train the teachers with one split_seed, or pass --allow-seen-held-out and calibrate "
                "the student on other chats before any guarantee is claimed"
            )
    labels = np.array([config.taxonomy.columns[rows[int(i)]["category"]] for i in labelled], dtype=np.int64)
    _, chosen = calibration_split(labels, calibration_ratio=config.calibration_ratio, seed=config.seed_of_split)
    return {int(i) for i in labelled[chosen]}, False


def _target(row: dict[str, Any], mixing: Mixing, taxonomy: Taxonomy) -> dict[str, float]:
    codes = taxonomy.codes
    annotated = _vector(row["annotated_soft_label"] or {row["category"]: 1.0}, codes)[0]
    annotated /= annotated.sum()
    target = annotated
    if row.get("taught", True):
        hard_ratio = mixing.hard_ratio if row["labelled"] else 0.0
        softened = soften(_vector(row["soft_label"], codes), mixing.temperature)[0]
        target = hard_ratio * annotated + (1 - hard_ratio) * softened
    return {code: round(float(value), 6) for code, value in zip(codes, target, strict=True)}


def _vector(weights: dict[str, float], codes: Sequence[str]) -> NDArray[np.float32]:
    return np.array([[weights.get(code, 0.0) for code in codes]], dtype=np.float32)
