"""From a model to the one that is served: with exits between its layers, and calibrated as it will answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.calibration import FloatArray
from model.tokenization import TokenIds
from training_pipeline.bundle.calibrate import Calibration
from training_pipeline.bundle.scaling_fit import ScalingKind
from training_pipeline.cascade.early_exit_fit import EarlyExitOptions, EarlyExits, fit_early_exits
from training_pipeline.chats.held_out import HeldOut


@dataclass(frozen=True)
class Serving:
    """What fitting and calibrating a model needs besides its chats."""

    seed: int
    kind: ScalingKind
    pad_id: int
    """Token id that fills short rows."""
    n_threads: int


@dataclass(frozen=True)
class PlainModel:
    """A model without exits, and what the held-out chats say of it."""

    model: bytes
    """Contents of model.onnx."""
    logits: FloatArray
    """float32 [n_chats, n_categories], of the held-out chats."""
    calibration: Calibration


@dataclass(frozen=True)
class ServedModel:
    """What goes into a bundle."""

    model: bytes
    """Contents of model.onnx."""
    calibration: Calibration
    exits: EarlyExits | None


def served_model(
    plain: PlainModel,
    training: Sequence[TokenIds],
    held_out: HeldOut,
    options: EarlyExitOptions | None,
    serving: Serving,
) -> ServedModel:
    """Fit exits, where they are wanted and the encoder is large enough, and calibrate.

    Args:
        plain: The model without exits.
        training: Rows of chats that it was trained on.
        held_out: Chats that it never saw.
        options: What decides the exits; None for none.
        serving: What else decides.
    """
    exits = None
    if options is not None:
        exits = fit_early_exits(
            plain.model,
            training,
            held_out.fitting(serving.seed),
            options,
            groups=held_out.groups,
            temperature=plain.calibration.temperature,
            seed=serving.seed,
            pad_id=serving.pad_id,
            n_threads=serving.n_threads,
        )
    if exits is None:
        return ServedModel(plain.model, plain.calibration, None)
    model = exits.inside(plain.model)
    served = held_out.logits(model, pad_id=serving.pad_id, n_threads=serving.n_threads)
    calibration = held_out.calibrated(plain.logits, seed=serving.seed, kind=serving.kind, served=served)
    return ServedModel(model, calibration, exits)
