"""The first stage learns from the training chats alone, and its confidence is what it says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from model.calibration import FloatArray, softmax
from model.tokenization import ConversationTokenizer
from schemas import CHAT_13
from tests.training_pipeline.chat_13 import GROUPS
from training_pipeline.bundle.calibrate import FirstAnswers, calibrate
from training_pipeline.cascade.averaging_network_fit import fit_network, mean_vectors, token_vectors
from training_pipeline.cascade.first_stage_fit import FirstStageOptions, exit_confidence, fit_first_stage, fit_members
from training_pipeline.cascade.network_options import NetworkOptions
from training_pipeline.chats.labelled_chats import read_labelled_chats
from training_pipeline.encoder.files import default_encoder_path
from training_pipeline.train.config import TrainConfig

SAMPLE_PATH = Path(__file__).parents[3] / "data" / "sample" / "chats.jsonl"
OPTIONS = FirstStageOptions(n_buckets=2**14, n_epochs=6)


def _embeddings() -> dict[str, np.ndarray]:
    """Return the embeddings of the default encoder under the names of a checkpoint."""
    loaded = load_file(default_encoder_path() / "model.safetensors")
    return {
        f"encoder.{name}": np.asarray(value, dtype=np.float32)
        for name, value in loaded.items()
        if name.startswith("embeddings.")
    }


@pytest.fixture(scope="module")
def vectors() -> FloatArray:
    """Return the default encoder's token vectors."""
    return token_vectors(_embeddings(), max_tokens=192, epsilon=1e-12)


@pytest.fixture(scope="module")
def tokenizer() -> ConversationTokenizer:
    """Return the default encoder's tokenizer."""
    return ConversationTokenizer((default_encoder_path() / "tokenizer.json").read_text(), max_tokens=192)


def test_it_learns_more_than_chance_and_calibrates_itself(
    tokenizer: ConversationTokenizer, vectors: FloatArray
) -> None:
    """Fitted on two thirds of the sample, right on most of the last third, as often as it says."""
    chats = read_labelled_chats([SAMPLE_PATH], TrainConfig().windowing, frozenset())
    order = np.random.default_rng(3).permutation(len(chats))
    fitted, fresh = chats.take(order[:1160]), chats.take(order[1160:])
    stage = fit_first_stage(fitted, tokenizer, TrainConfig(), OPTIONS, GROUPS, vectors=vectors)
    probabilities = softmax(stage.logits(fresh.encode(tokenizer)))
    accuracy = (probabilities.argmax(axis=1) == fresh.labels).mean()
    assert accuracy > 0.5
    assert probabilities.max(axis=1).mean() == pytest.approx(accuracy, abs=0.08)


def test_the_same_chats_give_the_same_bytes(tokenizer: ConversationTokenizer, vectors: FloatArray) -> None:
    """A digest that nobody can reproduce names nothing."""
    chats = read_labelled_chats([SAMPLE_PATH], TrainConfig().windowing, frozenset()).take(np.arange(150))
    one, other = (fit_first_stage(chats, tokenizer, TrainConfig(), OPTIONS, GROUPS, vectors=vectors) for _ in range(2))
    assert one.to_bytes() == other.to_bytes()
    assert one.fields == other.fields
    assert one.network is not None
    assert other.network is not None
    assert one.network.to_bytes() == other.network.to_bytes()


def test_it_learns_what_the_run_changes(tokenizer: ConversationTokenizer, vectors: FloatArray) -> None:
    """Without mixtures it is confident of what safe text drowns, and the transformer is never asked."""
    chats = read_labelled_chats([SAMPLE_PATH], TrainConfig().windowing, frozenset()).take(np.arange(150))
    tables = [
        fit_first_stage(chats, tokenizer, TrainConfig(mixture_ratio=ratio), OPTIONS, GROUPS, vectors=vectors).table
        for ratio in (0.0, 0.3)
    ]
    assert (tables[0] != tables[1]).any()


def test_how_many_threads_torch_has_does_not_change_the_network(vectors: FloatArray) -> None:
    """Nor is torch left with another number, or another random state, than it had."""
    rng = np.random.default_rng(1)
    means = mean_vectors([rng.integers(0, 30_000, size=9) for _ in range(300)], vectors)
    targets = np.eye(len(CHAT_13.codes), dtype=np.float32)[rng.integers(0, 13, size=300)]
    before, state, found = torch.get_num_threads(), torch.random.get_rng_state(), []
    try:
        for n_threads in (1, 2):
            torch.set_num_threads(n_threads)
            found.append(fit_network(means, targets, vectors, seed=3, options=NetworkOptions(n_epochs=2)).to_bytes())
            assert torch.get_num_threads() == n_threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_table_of_a_network_answers_as_the_network_that_was_fitted(vectors: FloatArray) -> None:
    """Projected vectors, averaged, are the average projected; it separates what the vectors separate."""
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, size=400)
    rows = [rng.integers(2_000 + 10_000 * label, 12_000 + 10_000 * label, size=30) for label in labels]
    targets = np.eye(len(CHAT_13.codes), dtype=np.float32)[labels]
    network = fit_network(mean_vectors(rows, vectors), targets, vectors, seed=3, options=NetworkOptions(n_epochs=8))
    assert (network.logits(rows).argmax(axis=1) == labels).mean() > 0.95
    assert network.vectors.shape == (len(vectors), NetworkOptions().n_dimensions)


def test_token_vectors_are_what_the_encoder_reads_at_a_mean_position() -> None:
    """Against torch's own layer normalisation."""
    weights = _embeddings()
    vectors = token_vectors(weights, max_tokens=16, epsilon=1e-12)
    prefix = "encoder.embeddings"
    place = weights[f"{prefix}.position_embeddings.weight"][:16].mean(axis=0)
    summed = weights[f"{prefix}.word_embeddings.weight"][:50] + place
    summed = summed + weights[f"{prefix}.token_type_embeddings.weight"][0]
    scale, shift = (torch.tensor(weights[f"{prefix}.LayerNorm.{name}"]) for name in ("weight", "bias"))
    expected = torch.nn.functional.layer_norm(torch.tensor(summed), summed.shape[1:], scale, shift, eps=1e-12)
    np.testing.assert_allclose(vectors[:50], expected.numpy(), atol=1e-5)


def test_a_member_that_knows_nothing_gets_no_weight() -> None:
    """And the other one the weight that calibrates it."""
    probabilities, labels = _answers(3_000, seed=11)
    logits = np.log(probabilities + 1e-9).astype(np.float32)
    noise = np.random.default_rng(12).normal(size=logits.shape).astype(np.float32)
    weights = fit_members([2 * logits, noise], labels)
    assert weights[0] == pytest.approx(0.5, abs=0.03)
    assert abs(weights[1]) < 0.06


def _answers(n_chats: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities and labels that they are true of."""
    rng = np.random.default_rng(seed)
    probabilities = softmax(rng.normal(scale=3.0, size=(n_chats, len(CHAT_13.codes))).astype(np.float32))
    labels = (rng.random((n_chats, 1)) > probabilities.astype(np.float64).cumsum(axis=1)).sum(axis=1)
    return probabilities, np.minimum(labels, len(CHAT_13.codes) - 1)


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
    assert exit_confidence(probabilities, (labels + 1) % len(CHAT_13.codes), 0.95) is None


def test_few_right_answers_at_the_top_do_not_open_the_way_out() -> None:
    """Ten of ten say nothing about the next thousand."""
    probabilities, labels = _answers(10, seed=5)
    assert exit_confidence(probabilities, probabilities.argmax(axis=1), 0.95) is None
    assert len(labels) == 10


def test_what_stands_in_calibration_json_is_what_both_stages_answer_together() -> None:
    """A guarantee over other scores than the served ones would be void."""
    rng = np.random.default_rng(6)
    logits, labels = (
        rng.normal(scale=3.0, size=(400, len(CHAT_13.codes))).astype(np.float32),
        rng.integers(0, 13, size=400),
    )
    first = FirstAnswers(rng.normal(scale=3.0, size=logits.shape).astype(np.float32), rng.random(400) < 0.5)
    calibration = calibrate(logits, labels, GROUPS, temperature_ratio=0.3, seed=7, first=first)
    blended = calibration.scaling.probabilities(logits + np.float32(calibration.blend_weight or 0) * first.logits)
    served = np.where(first.are_final[:, None], softmax(first.logits), blended)
    distance = np.abs(calibration.probabilities[:, None] - served).max(axis=2).min(axis=1)
    assert len(calibration.labels) == 280
    assert distance.max() < 1e-5


def test_a_given_weight_is_taken_and_the_calibration_goes_by_it() -> None:
    """Likelihood likes a weight that accuracy does not, so that whoever has compared bundles may name another."""
    rng = np.random.default_rng(6)
    logits = rng.normal(scale=3.0, size=(400, len(CHAT_13.codes))).astype(np.float32)
    labels = rng.integers(0, 13, size=400)
    first = FirstAnswers(rng.normal(size=logits.shape).astype(np.float32), np.zeros(400, dtype=np.bool_), 0.35)
    calibration = calibrate(logits, labels, GROUPS, temperature_ratio=0.3, seed=7, first=first)
    assert calibration.blend_weight == 0.35
    served = calibration.scaling.probabilities(logits + np.float32(0.35) * first.logits)
    assert np.abs(calibration.probabilities[:, None] - served).max(axis=2).min(axis=1).max() < 1e-5


def test_a_first_stage_that_knows_nothing_is_not_blended_in() -> None:
    """The weight is chosen by likelihood, so noise gets none."""
    probabilities, labels = _answers(3_000, seed=8)
    logits = np.log(probabilities + 1e-9).astype(np.float32)
    noise = np.random.default_rng(9).normal(scale=3.0, size=logits.shape).astype(np.float32)
    first = FirstAnswers(noise, np.zeros(3_000, dtype=np.bool_))
    assert calibrate(logits, labels, GROUPS, temperature_ratio=0.5, seed=1, first=first).blend_weight == 0.0
