"""Dawid-Skene against crowd-kit's own result, and by its properties."""

from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from training_pipeline.data.dawid_skene import dawid_skene

REFERENCE = orjson.loads((Path(__file__).parent / "dawid_skene_reference.json").read_bytes())

votes = arrays(np.int64, st.tuples(st.integers(1, 25), st.integers(1, 5)), elements=st.integers(-1, 3)).map(
    lambda found: np.where((found == -1).all(axis=1, keepdims=True), 0, found)
)


def test_the_posterior_is_crowd_kits() -> None:
    """40 chats, 4 annotators of different care, some abstentions; computed once by the library named in the file."""
    found = dawid_skene(np.array(REFERENCE["votes"]), 4, smoothing=0.0, max_steps=25, tolerance=-np.inf)
    assert np.abs(found.posterior - np.array(REFERENCE["posterior"])).max() < 1e-5


@settings(deadline=None)
@given(votes)
def test_the_likelihood_never_falls_and_the_posterior_is_one(found: np.ndarray) -> None:
    """That is what makes it expectation maximisation."""
    result = dawid_skene(found, 4, smoothing=0.0, max_steps=30)
    steps = np.diff(result.log_likelihoods)
    assert (steps >= -1e-8 * (1 + abs(result.log_likelihoods[0]))).all()
    assert result.posterior.sum(axis=1) == pytest.approx(np.ones(len(found)))


def test_it_beats_the_majority_where_one_annotator_is_better_than_two_careless_ones() -> None:
    """The reason to prefer it over counting votes, on made-up chats whose truth is known."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 13, 2_000)

    def annotator(accuracy: float) -> np.ndarray:
        return np.where(rng.random(len(truth)) < accuracy, truth, rng.integers(0, 13, len(truth)))

    cast = np.stack([annotator(0.95), annotator(0.5), annotator(0.5)], axis=1)
    counts = (cast[:, :, None] == np.arange(13)).sum(axis=1)
    majority = (counts.argmax(axis=1) == truth).mean()
    consensus = dawid_skene(cast, 13)
    assert (consensus.posterior.argmax(axis=1) == truth).mean() > majority + 0.05
    care = np.einsum("att->a", consensus.error_rates) / 13
    assert care == pytest.approx([0.95, 0.54, 0.54], abs=0.06)


def test_a_chat_without_a_vote_is_refused() -> None:
    """It would get a posterior out of nothing."""
    with pytest.raises(ValueError, match="1 chats have no vote"):
        dawid_skene(np.array([[0, 1], [-1, -1]]), 4)
