"""A graph that loops, in ONNX Runtime itself: the flag ends it, and nobody else's answer is late for it."""

from pathlib import Path

import pytest

from model import Classification, Classifier, InferenceStalled, RowFailed, load_bundle
from schemas import DEFAULT_POLICY, Role, Turn
from tests.bundles import endless_bundle
from tests.endless_graphs import LOOPING_WORD, STUCK_WORD, endless_model

TIMEOUT_S = 0.5


@pytest.fixture
def bundle(bundle_path: Path, tmp_path: Path) -> Path:
    """Return a bundle whose model loops at one word."""
    return endless_bundle(bundle_path, tmp_path / "endless", model=endless_model(load_bundle(bundle_path)))


def classifier(folder: Path, n_threads: int) -> Classifier:
    """Return the classifier under test, warmed up."""
    made = Classifier(load_bundle(folder), DEFAULT_POLICY, n_threads=n_threads, timeout_s=TIMEOUT_S)
    made.warm_up()
    return made


@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("n_neighbours", [0, 30])
def test_a_row_that_loops_is_ended_and_fails_alone(bundle: Path, n_threads: int, n_neighbours: int) -> None:
    """F30."""
    texts = [*(f"hello number {i}" for i in range(n_neighbours)), f"hello {LOOPING_WORD}"]
    results, stats = classifier(bundle, n_threads).classify([[Turn(Role.USER, text)] for text in texts])
    assert all(isinstance(result, Classification) for result in results[:-1])
    assert isinstance(results[-1], RowFailed)
    assert LOOPING_WORD not in results[-1].error
    assert (stats.n_timeouts, stats.n_abandoned) == (2, 0)


def test_many_rows_that_loop_are_given_up_and_the_classifier_goes_on(bundle: Path) -> None:
    """F12: a call has its end, whatever is in it."""
    made = classifier(bundle, 2)
    with pytest.raises(InferenceStalled):
        made.classify([[Turn(Role.USER, f"{LOOPING_WORD} {i}")] for i in range(10)])
    results, stats = made.classify([[Turn(Role.USER, "hello")]])
    assert isinstance(results[0], Classification)
    assert (stats.n_timeouts, made.is_worn_out) == (0, False)


def test_the_words_are_tokens_of_their_own(bundle_path: Path) -> None:
    """Or another word would loop as well, and the neighbours with it."""
    assert LOOPING_WORD != STUCK_WORD
    with pytest.raises(ValueError, match="not a token"):
        endless_model(load_bundle(bundle_path), looping_word="nosuchtokenatall")
