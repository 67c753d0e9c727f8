"""The first stage learns from the training chats alone, and its confidence is what it says."""

from pathlib import Path

import numpy as np
import pytest

from model.calibration import softmax
from model.tokenization import ConversationTokenizer
from schemas import CODES
from training_pipeline.calibrate import FirstAnswers, calibrate
from training_pipeline.encoder_files import default_encoder_path
from training_pipeline.first_stage_fit import FirstStageOptions, exit_confidence, fit_first_stage
from training_pipeline.labelled_chats import read_labelled_chats
from training_pipeline.train_config import TrainConfig

pytestmark = pytest.mark.training

SAMPLE_PATH = Path(__file__).parents[2] / "data" / "sample" / "chats.jsonl"
OPTIONS = FirstStageOptions(n_buckets=2**14, n_epochs=6)


@pytest.fixture(scope="module")
def tokenizer() -> ConversationTokenizer:
    """Return the default encoder's tokenizer."""
    return ConversationTokenizer((default_encoder_path() / "tokenizer.json").read_text(), max_tokens=192)


def test_it_learns_more_than_chance_and_calibrates_itself(tokenizer: ConversationTokenizer) -> None:
    """Fitted on two thirds of the sample, right on most of the last third, as often as it says."""
    chats = read_labelled_chats([SAMPLE_PATH], TrainConfig().windowing, frozenset())
    order = np.random.default_rng(3).permutation(len(chats))
    fitted, fresh = chats.take(order[:1160]), chats.take(order[1160:])
    stage = fit_first_stage(fitted, tokenizer, TrainConfig(), OPTIONS)
    probabilities = softmax(stage.logits(fresh.encode(tokenizer)))
    accuracy = (probabilities.argmax(axis=1) == fresh.labels).mean()
    assert accuracy > 0.5
    assert probabilities.max(axis=1).mean() == pytest.approx(accuracy, abs=0.08)


def test_the_same_chats_give_the_same_bytes(tokenizer: ConversationTokenizer) -> None:
    """A digest that nobody can reproduce names nothing."""
    chats = read_labelled_chats([SAMPLE_PATH], TrainConfig().windowing, frozenset()).take(np.arange(150))
    one, other = (fit_first_stage(chats, tokenizer, TrainConfig(), OPTIONS) for _ in range(2))
    assert one.to_bytes() == other.to_bytes()
    assert one.fields == other.fields


def _answers(n_chats: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities and labels that they are true of."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(scale=3.0, size=(n_chats, len(CODES))).astype(np.float32))
    labels = (rng.random((n_chats, 1)) > probabilities.astype(np.float64).cumsum(axis=1)).sum(axis=1)
    return probabilities, np.minimum(labels, len(CODES) - 1)


@pytest.mark.parametrize("precision", [0.8, 0.9, 0.95])
def test_answers_from_the_confidence_up_are_as_often_right_as_asked_for(precision: float) -> None:
    """And one less confident chat more would break that, or end the file."""
    probabilities, labels = _answers(4_000, seed=2)
    cut = exit_confidence(probabilities, labels, precision)
    assert cut is not None
    leaves = probabilities.max(axis=1) >= cut
    assert (probabilities.argmax(axis=1) == labels)[leaves].mean() == pytest.approx(precision, abs=0.01)


def test_no_chat_leaves_early_where_the_precision_is_out_of_reach() -> None:
    """Answers by chance never earn a way out."""
    probabilities, labels = _answers(2_000, seed=4)
    assert exit_confidence(probabilities, (labels + 1) % len(CODES), 0.95) is None


def test_few_right_answers_at_the_top_do_not_open_the_way_out() -> None:
    """Ten of ten say nothing about the next thousand."""
    probabilities, labels = _answers(10, seed=5)
    assert exit_confidence(probabilities, probabilities.argmax(axis=1), 0.95) is None
    assert len(labels) == 10


def test_what_stands_in_calibration_json_is_what_both_stages_answer_together() -> None:
    """A guarantee over other scores than the served ones would be void."""
    rng = np.random.default_rng(6)
    logits, labels = rng.normal(scale=3.0, size=(400, len(CODES))).astype(np.float32), rng.integers(0, 13, size=400)
    first = FirstAnswers(rng.normal(scale=3.0, size=logits.shape).astype(np.float32), rng.random(400) < 0.5)
    calibration = calibrate(logits, labels, temperature_ratio=0.3, seed=7, first=first)
    blended = calibration.scaling.probabilities(logits + np.float32(calibration.blend_weight or 0) * first.logits)
    served = np.where(first.are_final[:, None], softmax(first.logits), blended)
    distance = np.abs(calibration.probabilities[:, None] - served).max(axis=2).min(axis=1)
    assert len(calibration.labels) == 280
    assert distance.max() < 1e-5


def test_a_first_stage_that_knows_nothing_is_not_blended_in() -> None:
    """The weight is chosen by likelihood, so noise gets none."""
    probabilities, labels = _answers(3_000, seed=8)
    logits = np.log(probabilities + 1e-9).astype(np.float32)
    noise = np.random.default_rng(9).normal(scale=3.0, size=logits.shape).astype(np.float32)
    first = FirstAnswers(noise, np.zeros(3_000, dtype=np.bool_))
    assert calibrate(logits, labels, temperature_ratio=0.5, seed=1, first=first).blend_weight == 0.0
