"""Everything that decides a training run."""

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.windowing import Windowing

CONFIG_NAME: Final = "config.json"


class TrainConfig(BaseModel):
    """Everything that decides a training run, besides the chats; written into its folder."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    windowing: Windowing = Windowing()
    n_epochs: int = Field(default=3, gt=0)
    batch_rows: int = Field(default=32, gt=0)
    encoder_lr: float = Field(default=1.5e-4, gt=0, description="Peak learning rate of the encoder.")
    head_lr: float = Field(default=1e-3, gt=0, description="Peak learning rate of the linear layer.")
    warmup_ratio: float = Field(default=0.06, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Before the linear layer.")
    encoder_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Inside the encoder; 0 is half the time per step on a CPU, whose random numbers are slow.",
    )
    evasion_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Share of the chats that are disguised anew in each epoch, see evasion.py."
    )
    banned_group_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the cross-entropy of banned against safe, beside that of 13 categories.",
    )
    calibration_ratio: float = Field(default=0.1, gt=0, lt=1, description="Share of the chats held out to calibrate.")
    bf16: bool = Field(default=False, description="Autocast to bfloat16; pays only where the CPU has it in hardware.")
    seed: int = 20261121


def read_config(run: Path) -> TrainConfig:
    """Read the configuration that `train` left in a run's folder.

    Raises:
        ValueError: there is none, or it is not one of this version.
    """
    path = run / CONFIG_NAME
    try:
        return TrainConfig.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror}); expected the folder of a `train` run") from error
    except ValidationError as error:
        raise ValueError(f"{path}: not a training configuration of this version: {error}") from error
