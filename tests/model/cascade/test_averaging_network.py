"""The network of the first stage: the mean of token vectors through one hidden layer, row by row."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model import Bundle, BundleError, Classifier
from model.cascade.averaging_network import AveragingNetwork, read_network
from model.cascade.first_stage import FirstStage
from schemas import CHAT_13, DEFAULT_POLICY

N_TOKEN_IDS, N_DIMENSIONS, N_UNITS = 60, 8, 12

token_rows = st.lists(st.lists(st.integers(0, N_TOKEN_IDS - 1), min_size=1, max_size=40), min_size=1, max_size=6)


def network() -> AveragingNetwork:
    """Return a network with random weights."""
    rng = np.random.default_rng(4)

    def drawn(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return AveragingNetwork(
        vectors=drawn(N_TOKEN_IDS, N_DIMENSIONS).astype(np.float16).astype(np.float32),
        hidden=drawn(N_DIMENSIONS, N_UNITS),
        hidden_bias=drawn(N_UNITS),
        output=drawn(N_UNITS, len(CHAT_13.codes)),
        output_bias=drawn(len(CHAT_13.codes)),
    )


@settings(max_examples=60, deadline=None)
@given(token_rows)
def test_the_logits_of_a_row_do_not_depend_on_its_neighbours(rows: list[list[int]]) -> None:
    """To the last bit, or a replay in other batches would decide otherwise."""
    arrays = [np.array(row, dtype=np.int64) for row in rows]
    together = network().logits(arrays)
    for i, row in enumerate(arrays):
        np.testing.assert_array_equal(together[i], network().logits([row])[0])


def test_it_is_the_mean_of_the_vectors_through_one_rectified_layer() -> None:
    """Written down once more in double precision."""
    one, row = network(), np.array([3, 3, 59, 0])
    mean = one.vectors[row].astype(np.float64).mean(axis=0)
    expected = np.maximum(mean @ one.hidden + one.hidden_bias, 0) @ one.output + one.output_bias
    np.testing.assert_allclose(one.logits([row])[0], expected, atol=1e-5)


def test_it_is_read_as_it_was_written_and_the_same_weights_give_the_same_bytes() -> None:
    """It stands under the bundle's digest."""
    content = network().to_bytes()
    assert content == network().to_bytes()
    read = read_network(content, 13)
    for name, weights in vars(network()).items():
        np.testing.assert_array_equal(getattr(read, name), weights)
        assert getattr(read, name).dtype == np.float32


def _archive(**changes: np.ndarray | None) -> bytes:
    arrays = {**vars(network()), "vectors": network().vectors.astype(np.float16), **changes}
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **{name: array for name, array in arrays.items() if array is not None})
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(_archive(output=None), id="an array missing"),
        pytest.param(_archive(another=np.ones(3)), id="an array too many"),
        pytest.param(_archive(vectors=network().vectors), id="another type"),
        pytest.param(_archive(hidden=np.ones(5, dtype=np.float32)), id="one dimension"),
        pytest.param(_archive(output=np.ones((N_UNITS, 12), dtype=np.float32)), id="a category missing"),
        pytest.param(_archive(hidden=np.ones((9, N_UNITS), dtype=np.float32)), id="dimensions that do not fit"),
        pytest.param(_archive(output_bias=np.full(13, np.nan, dtype=np.float32)), id="NaN"),
        pytest.param(_archive(output_bias=np.array([{"a": 1}], dtype=object)), id="pickled objects"),
        pytest.param(b"", id="nothing"),
        pytest.param(network().to_bytes()[:900], id="broken off"),
        pytest.param(b"\x93NUMPY\x01\x00", id="half a header"),
        pytest.param(b"hello", id="text"),
    ],
)
def test_an_archive_that_cannot_be_served_is_refused(content: bytes) -> None:
    """Pickled objects above all: they would run code."""
    with pytest.raises(ValueError, match=r"expected|allow_pickle"):
        read_network(content, 13)


def test_a_tokenizer_with_more_ids_than_vectors_is_refused_before_the_first_chat(bundle: Bundle) -> None:
    """An index past the table would fail a batch in the middle of the day."""
    stage = bundle.first_stage
    assert isinstance(stage, FirstStage)
    short = replace(bundle, first_stage=replace(stage, network=network()))
    with pytest.raises(BundleError, match=r"vectors of 60 token ids, the tokenizer has \d+; expected one for each"):
        Classifier(short, DEFAULT_POLICY, n_threads=1)
