"""The first stage answers what it is confident of, is blended elsewhere, and never looks at a neighbour."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from model import Bundle, Classification, Classifier
from model.bundle.manifest import ExitSides, FirstStageFields
from model.calibration import FloatArray, softmax
from model.cascade.first_stage import FirstStage, is_decided, read_table
from model.cascade.ngrams import ngram_counts
from model.tokenization import TokenIds
from schemas import CHAT_13, DEFAULT_POLICY, Role, Turn

TEXTS = ["write a poem about my cat", "hello", "which phone should I buy for my mother", "fix this loop " * 60]
CONVERSATIONS = [[Turn(Role.USER, text)] for text in TEXTS]

token_rows = st.lists(st.lists(st.integers(0, 30_521), min_size=1, max_size=40), min_size=1, max_size=6)


def stage(*, exit_from: float | None, blend_weight: float = 0.0, n_buckets: int = 1024) -> FirstStage:
    """Return a stage with random weights; its answers differ from chat to chat."""
    rng = np.random.default_rng(5)
    weights = rng.normal(scale=8.0, size=(n_buckets, len(CHAT_13.codes)))
    table = np.concatenate([rng.uniform(1, 6, size=(n_buckets, 1)), weights], axis=1).astype(np.float16)
    fields = FirstStageFields(
        longest_ngram=2, intercept=[0.0] * len(CHAT_13.codes), blend_weight=blend_weight, exit_from=exit_from
    )
    return FirstStage(table, fields, CHAT_13.codes)


def classify(bundle: Bundle, first_stage: FirstStage | None) -> tuple[list[Classification], int]:
    """Classify the texts with another first stage; return the answers and how many it gave alone."""
    classifier = Classifier(replace(bundle, first_stage=first_stage), DEFAULT_POLICY, n_threads=1)
    results, stats = classifier.classify(CONVERSATIONS)
    answers = [result for result in results if isinstance(result, Classification)]
    assert len(answers) == len(TEXTS)
    assert stats.n_rows == len(TEXTS)
    return answers, stats.n_first_stage


def stage_probabilities(bundle: Bundle, first_stage: FirstStage) -> np.ndarray:
    """Return what the stage itself says of the texts, [n_texts, 13]."""
    classifier = Classifier(replace(bundle, first_stage=None), DEFAULT_POLICY, n_threads=1)
    return softmax(first_stage.logits(classifier._encode(CONVERSATIONS)))


def values(answer: Classification) -> list[float]:
    """Return the probabilities in the order of the codes."""
    return [answer.probabilities[code] for code in CHAT_13.codes]


def test_a_confident_first_stage_answers_alone(bundle: Bundle) -> None:
    """Its own probabilities are the verdict's, and the transformer sees no token of these chats."""
    always = stage(exit_from=0.0)
    answers, n_first = classify(bundle, always)
    assert n_first == len(TEXTS)
    np.testing.assert_allclose([values(a) for a in answers], stage_probabilities(bundle, always), atol=1e-6)


def test_only_chats_at_or_above_the_confidence_leave_early(bundle: Bundle) -> None:
    """The others get what the transformer alone would have said, where nothing is blended in."""
    confidence = stage_probabilities(bundle, stage(exit_from=None)).max(axis=1)
    cut = float(np.sort(confidence)[2])
    answers, n_first = classify(bundle, stage(exit_from=cut))
    transformer, _ = classify(bundle, None)
    assert n_first == 2
    for answer, alone, sure in zip(answers, transformer, confidence, strict=True):
        assert (values(answer) == pytest.approx(values(alone), abs=1e-4)) == (sure < cut)


def test_a_network_adds_its_logits(bundle: Bundle) -> None:
    """Both ensemble members are weighed when they are fitted, so that serving only adds them."""
    assert bundle.first_stage is not None
    assert bundle.first_stage.network is not None
    rows = Classifier(bundle, DEFAULT_POLICY, n_threads=1)._encode(CONVERSATIONS)
    ngrams = replace(bundle.first_stage, network=None).logits(rows)
    expected = ngrams + bundle.first_stage.network.logits(rows)
    np.testing.assert_array_equal(bundle.first_stage.logits(rows), expected)


SIDES = ExitSides(codes=["A", "B", "C"], margin=0.05)


@pytest.mark.parametrize(
    ("side", "leaves"),
    [(0.0, True), (0.04, True), (0.06, False), (0.5, False), (0.94, False), (0.96, True)],
)
def test_a_chat_leaves_early_only_where_its_side_is_sure(side: float, *, leaves: bool) -> None:
    """A confident category beside a divided side is what the banned-to-safe rate was paid with."""
    probabilities = np.zeros((1, len(CHAT_13.codes)), dtype=np.float32)
    probabilities[0, [0, 4]] = side, 1 - side
    assert is_decided(probabilities, SIDES, CHAT_13.codes).tolist() == [leaves]
    assert is_decided(probabilities, None, CHAT_13.codes).tolist() == [True]
    logits = np.log(probabilities + 1e-9)
    first = stage(exit_from=0.3)
    asking = replace(first, fields=first.fields.model_copy(update={"exit_sides": SIDES}))
    assert asking.answers(logits)[0].tolist() == [leaves]
    assert first.answers(logits)[0].tolist() == [True]


@pytest.mark.parametrize("sides", [{"codes": [], "margin": 0.1}, {"codes": ["A"], "margin": 0.6}])
def test_sides_that_mean_nothing_are_refused(sides: dict[str, object]) -> None:
    """Either would let every chat out."""
    with pytest.raises(ValidationError):
        ExitSides.model_validate(sides)


def test_elsewhere_its_logits_are_blended_in_before_calibration(bundle: Bundle) -> None:
    """A blend after the softmax would not be what the temperature was fitted on."""
    mixing = stage(exit_from=None, blend_weight=0.5)
    plain = Classifier(replace(bundle, first_stage=None), DEFAULT_POLICY, n_threads=1)
    rows = plain._encode(CONVERSATIONS)
    logits = np.concatenate([plain._sessions.lone.logits([row]) for row in rows])
    expected = bundle.manifest.logit_scaling.probabilities(logits + np.float32(0.5) * mixing.logits(rows))
    answers, n_first = classify(bundle, mixing)
    assert n_first == 0
    np.testing.assert_allclose([values(a) for a in answers], expected, atol=1e-4)


def test_warming_up_reaches_the_transformer_although_the_first_stage_answers_everything(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the first chat that is not easy pays for all lazy allocations."""
    classifier = Classifier(replace(bundle, first_stage=stage(exit_from=0.0)), DEFAULT_POLICY, n_threads=1)
    seen: list[int] = []
    whole = classifier._sessions.lone.logits

    def noted(rows: list[TokenIds], options: Any) -> FloatArray:
        seen.append(len(rows))
        return whole(rows, options)

    monkeypatch.setattr(classifier._sessions.lone, "logits", noted)
    classifier.warm_up()
    assert seen


@settings(max_examples=60, deadline=None)
@given(token_rows)
def test_the_logits_of_a_row_do_not_depend_on_its_neighbours(rows: list[list[int]]) -> None:
    """A verdict is a function of the chat, to the last bit."""
    first = stage(exit_from=None)
    arrays = [np.array(row, dtype=np.int64) for row in rows]
    together = first.logits(arrays)
    for i, row in enumerate(arrays):
        np.testing.assert_array_equal(together[i], first.logits([row])[0])


@settings(max_examples=60, deadline=None)
@given(token_rows, st.integers(1, 4))
def test_every_ngram_of_a_row_is_counted_once_and_none_across_rows(rows: list[list[int]], longest: int) -> None:
    """Counted plainly: tuples in a dictionary, row by row."""
    n_buckets = 2**20
    counts = ngram_counts([np.array(row, dtype=np.int64) for row in rows], n_buckets=n_buckets, longest=longest)
    for i, row in enumerate(rows):
        expected = sum(max(0, len(row) - n + 1) for n in range(1, longest + 1))
        found = np.exp(counts.values[counts.rows == i].astype(np.float64) - 1).sum()
        assert found == pytest.approx(expected, rel=1e-4)
    assert counts.buckets.min() >= 0
    assert counts.buckets.max() < n_buckets


def test_the_order_of_two_tokens_matters() -> None:
    """A bag of single tokens would take "dog bites man" for "man bites dog"."""
    one, other = (ngram_counts([np.array(row)], n_buckets=2**20, longest=2) for row in ([1, 2, 3], [3, 2, 1]))
    assert len(set(one.buckets.tolist()) & set(other.buckets.tolist())) == 3


def test_a_table_is_read_as_it_was_written() -> None:
    """To the last bit: it is under the bundle's digest."""
    first = stage(exit_from=None)
    np.testing.assert_array_equal(read_table(first.to_bytes(), 13), first.table)


@pytest.mark.parametrize(
    "table",
    [
        pytest.param(np.ones((8, 14), dtype=np.float32), id="another type"),
        pytest.param(np.ones((8, 13), dtype=np.float16), id="a column missing"),
        pytest.param(np.ones(14, dtype=np.float16), id="one dimension"),
        pytest.param(np.full((8, 14), np.nan, dtype=np.float16), id="NaN"),
        pytest.param(np.zeros((8, 14), dtype=np.float16), id="a frequency of 0"),
        pytest.param(np.array([{"a": 1}], dtype=object), id="pickled objects"),
    ],
)
def test_a_table_that_cannot_be_served_is_refused(table: np.ndarray) -> None:
    """Pickled objects above all: they would run code."""
    buffer = io.BytesIO()
    np.save(buffer, table, allow_pickle=True)
    with pytest.raises(ValueError, match=r"expected|allow_pickle"):
        read_table(buffer.getvalue(), 13)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY\x01\x00"])
def test_bytes_that_are_no_table_are_refused(content: bytes) -> None:
    """A download that broke off, or another kind of file."""
    with pytest.raises(ValueError, match=r"."):
        read_table(content, 13)
