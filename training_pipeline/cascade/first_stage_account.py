"""What the first stage of a bundle costs and saves: how much it answers, and the figures with and without it.

Both sides go through the serving classes; "without" is the same bundle with every chat left to the transformer, at the
same temperature and blend.
"""

from dataclasses import replace
from typing import Any, Final

from model.classifier import Classifier
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.quality.evaluate import Predictions, figures, predict
from training_pipeline.quality.metrics import Columns

_COMPARED: Final = (
    "accuracy",
    "macro_f1",
    "banned_to_safe_rate",
    "safe_to_banned_rate",
    "banned_to_safe_rate_at_safe_to_banned_0.029",
    "banned_to_safe_rate_at_safe_to_banned_0.044",
    "expected_calibration_error",
)


def first_stage_account(classifier: Classifier, chats: LabelledChats, *, n_threads: int) -> dict[str, Any]:
    """Return the account on labelled chats that fitted nothing, ready for JSON; rates are 0..1.

    Raises:
        ValueError: the bundle has no first stage.
    """
    stage = classifier.bundle.first_stage
    if stage is None:
        raise ValueError(f"{classifier.bundle.ref.name} has no first stage; expected a bundle exported with one")
    never = replace(stage, fields=stage.fields.model_copy(update={"exit_from": None}))
    banned = classifier.banned_columns
    with_stage = predict(classifier, chats)
    without = predict(
        Classifier(replace(classifier.bundle, first_stage=never), classifier.policy, n_threads=n_threads), chats
    )
    is_answered = classifier.answered_first(chats.conversations)
    answered = with_stage.take(is_answered)
    is_banned = banned[with_stage.labels]
    exits_safe = is_answered & ~banned[with_stage.predicted]
    return {
        "exit_ratio": round(float(is_answered.mean()), 4),
        "accuracy_of_exits": round(_accuracy(answered), 4),
        "accuracy_of_the_same_chats_without": round(_accuracy(without.take(is_answered)), 4),
        "banned_exits_answered_safe": round(float(exits_safe[is_banned].mean()) if is_banned.any() else 0.0, 4),
        "with": compared(with_stage, banned),
        "without": compared(without, banned),
    }


def _accuracy(predictions: Predictions) -> float:
    return float((predictions.predicted == predictions.labels).mean()) if len(predictions) else 0.0


def compared(predictions: Predictions, banned: Columns) -> dict[str, Any]:
    """Return the figures that an account sets side by side, of answers under a banned set."""
    found = figures(predictions, banned)
    return {name: found[name] for name in _COMPARED}
