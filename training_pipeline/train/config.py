"""Everything that decides a training run."""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from model.calibration import banned_mask
from model.windowing import Windowing
from schemas import CHAT_13, Taxonomy, taxonomy_of

CONFIG_NAME: Final = "config.json"

_CHANGES_TEXTS: Final = ("evasion_ratio", "mixture_ratio", "identity_ratio", "piece_ratio")
"""Fields that change what is read anew in each epoch."""

Figure = Literal["held_out_nll", "held_out_banned_to_safe"]


class TrainConfig(BaseModel):
    """Everything that decides a training run, besides the chats and the encoder; written into its folder.

    A field that is added has a default under which a run stays what it was, so the files of earlier runs still load.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    taxonomy: Taxonomy = Field(
        default=CHAT_13, description="The categories, whole; given as a shipped taxonomy's name, or a file's."
    )
    windowing: Windowing = Windowing()
    n_epochs: int = Field(default=3, gt=0)
    batch_rows: int = Field(default=32, gt=0, description="Chats per step, over all processes together.")
    gradient_accumulation: int = Field(
        default=1, gt=0, description="Parts in which a step's chats are computed, to save memory; the step is the same."
    )
    encoder_lr: float = Field(default=1.5e-4, gt=0, description="Peak learning rate of the encoder.")
    head_lr: float = Field(default=1e-3, gt=0, description="Peak learning rate of the linear layer.")
    warmup_ratio: float = Field(default=0.06, ge=0, lt=1)
    weight_decay: float = Field(default=0.01, ge=0)
    label_smoothing: float = Field(default=0.05, ge=0, lt=1)
    hard_label_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Weight of the category in the target; the rest is the soft label's."
    )
    label_temperature: float = Field(
        default=1.0, gt=0, description="Divisor of the soft labels' logarithms: above 1 they become softer."
    )
    class_weights: Literal["none", "balanced"] | dict[str, float] = Field(
        default="none", description="Weight per category code; `balanced` is the inverse of its share of the chats."
    )
    dropout: float = Field(default=0.1, ge=0, lt=1, description="Before the linear layer.")
    encoder_dropout: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Inside the encoder; 0 is half the time per step on a CPU, whose random numbers are slow.",
    )
    pooling: Literal["mean", "cls"] = Field(
        default="mean", description="What the linear layer sees: the mean of all tokens, or the first one."
    )
    evasion_ratio: float = Field(
        default=0.0, ge=0, le=1, description="Share of the chats that are disguised anew in each epoch, see evasion.py."
    )
    evasion_kinds: Literal["basic", "all"] = Field(
        default="basic", description="Disguises of words alone, or those of whole messages too, see disguises.py."
    )
    mixture_ratio: float = Field(
        default=0.0,
        ge=0,
        le=0.3,
        description="Share of the chats that get unrelated safe text beside their request, banned and safe ones alike.",
    )
    identity_ratio: float = Field(
        default=0.0,
        ge=0,
        le=0.3,
        description="Share of the chats whose user says in each epoch who is asking, banned and safe ones alike.",
    )
    piece_ratio: float = Field(
        default=0.0,
        ge=0,
        le=0.3,
        description="Share of the chats of which one piece stands for the whole, as serving cuts them, see pieces.py.",
    )
    banned_group_weight: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the cross-entropy of banned against safe, beside that of the categories.",
    )
    banned_to_safe_cost: float = Field(
        default=0.0, ge=0, description="Expected cost of a banned chat classified as safe, beside the cross-entropy."
    )
    safe_to_banned_cost: float = Field(
        default=0.0, ge=0, description="Expected cost of a safe chat classified as banned, beside the cross-entropy."
    )
    calibration_ratio: float = Field(default=0.1, gt=0, lt=1, description="Share of the chats held out to calibrate.")
    early_stopping_patience: int = Field(
        default=0, ge=0, description="Epochs without a better figure after which training stops; 0 never stops it."
    )
    early_stopping_figure: Figure = Field(
        default="held_out_nll", description="Smaller is better; never a figure of the dev chats."
    )
    selection_ratio: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the other chats set aside for that figure; 0 takes it from the calibration chats.",
    )
    frozen_encoder: bool = Field(
        default=False, description="Train the head alone, on embeddings that are computed once, at a steady head_lr."
    )
    hidden_layer: bool = Field(
        default=False, description="Whether a layer of the embedding's size with ReLU stands before the linear one."
    )
    bf16: bool = Field(default=False, description="Autocast to bfloat16; pays only where the hardware has it.")
    fp16: bool = Field(default=False, description="Autocast to float16 with a scaled loss; needs a GPU.")
    seed: int = 20261121
    split_seed: int | None = Field(
        default=None, description="Decides which chats are held out; null takes `seed`. Runs of one ensemble share it."
    )

    @property
    def seed_of_split(self) -> int:
        """Return the seed that decides which chats are held out."""
        return self.seed if self.split_seed is None else self.split_seed

    @field_validator("taxonomy", mode="before")
    @classmethod
    def _named_or_whole(cls, taxonomy: object) -> object:
        return taxonomy_of(taxonomy) if isinstance(taxonomy, str) else taxonomy

    @model_validator(mode="after")
    def _fits_the_taxonomy(self) -> Self:
        weights, codes = self.class_weights, self.taxonomy.codes
        if isinstance(weights, dict) and (set(weights) - set(codes) or not all(w >= 0 for w in weights.values())):
            raise ValueError(
                f"class_weights are {weights}; expected weights of at least 0 for codes {', '.join(codes)}"
            )
        if not self.taxonomy.banned and max(
            self.banned_group_weight, self.banned_to_safe_cost, self.safe_to_banned_cost
        ):
            raise ValueError(
                f"taxonomy {self.taxonomy.ref} bans nothing; expected banned_group_weight, banned_to_safe_cost and "
                "safe_to_banned_cost of 0"
            )
        if not self.taxonomy.banned and self.early_stopping_figure == "held_out_banned_to_safe":
            raise ValueError(f"taxonomy {self.taxonomy.ref} bans nothing; expected early_stopping_figure held_out_nll")
        return self

    @property
    def banned_columns(self) -> NDArray[np.bool_]:
        """Which output columns the taxonomy bans, bool [n_categories]."""
        return banned_mask(self.taxonomy.banned, self.taxonomy.codes)

    @model_validator(mode="after")
    def _one_precision(self) -> Self:
        if self.bf16 and self.fp16:
            raise ValueError("bf16 and fp16 are both true; expected at most one of them")
        return self

    @model_validator(mode="after")
    def _frozen_texts_stay(self) -> Self:
        changed = [name for name in _CHANGES_TEXTS if getattr(self, name) > 0]
        if self.frozen_encoder and (changed or self.bf16 or self.fp16):
            found = [*changed, *(name for name in ("bf16", "fp16") if getattr(self, name))]
            raise ValueError(
                f"frozen_encoder with {', '.join(found)}: embeddings are computed once, of the texts as they are, in "
                "float32; leave these out"
            )
        return self


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


def build_config(path: Path | None, overrides: Mapping[str, Any]) -> TrainConfig:
    """Return a file's options with those of the command line in their place; what neither names has its default.

    Args:
        path: YAML (.yaml, .yml) or TOML (.toml) with fields of `TrainConfig`.
        overrides: Fields by name; None leaves a field alone.

    Raises:
        ValueError: the file cannot be read, or a field is unknown or out of its range.
    """
    options = {} if path is None else read_options(path)
    options |= {name: value for name, value in overrides.items() if value is not None}
    try:
        return TrainConfig.model_validate(options)
    except ValidationError as error:
        raise ValueError(f"{path or 'options'}: not a training configuration: {error}") from error


def read_options(path: Path) -> dict[str, Any]:
    """Read a YAML or TOML file that holds one mapping.

    Raises:
        ValueError: it cannot be read, or holds something else.
    """
    import yaml  # noqa: PLC0415  (of the training extra, which the data stages do not need)

    try:
        content = path.read_bytes()
        options = tomllib.loads(content.decode()) if path.suffix == ".toml" else yaml.safe_load(content)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: cannot be read ({error}); expected YAML or TOML") from error
    if not isinstance(options, dict):
        # A ValueError like every other fault of a file of options.
        raise ValueError(f"{path}: holds a {type(options).__name__}; expected fields with values")  # noqa: TRY004
    return options


def nested_fields(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields with the dots in their names resolved: `windowing.max_tokens` goes into `windowing`."""
    fields: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        inner = fields
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = value
    return fields
