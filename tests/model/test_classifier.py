"""The classifier: results belong to their inputs, and a row that breaks the model stays alone with it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

from model import Bundle, Classification, Classifier, RowFailed
from model.calibration import FloatArray
from model.tokenization import TokenIds
from schemas import CHAT_13, DEFAULT_POLICY, ChatEvent, Role, Turn, conversation_turns
from tests.model.evidence.test_rule import in_format_1

CANARY = "zanzibar"


def conversation(text: str) -> list[Turn]:
    """Return a conversation of one user message."""
    return [Turn(Role.USER, text)]


@pytest.fixture
def conversations(sample_chats: list[dict[str, Any]]) -> list[list[Turn]]:
    """Return real conversations of very different lengths."""
    return [conversation_turns(ChatEvent.model_validate(chat)) for chat in sample_chats[:40]]


class PoisonedSession:
    """Stands in for the session: fails on every batch that holds a poisoned row.

    Args:
        inner: The real session.
        poisoned: Token rows that break the model.
        with_nan: Answer NaN for these rows instead of raising.
    """

    def __init__(self, inner: Any, poisoned: list[TokenIds], *, with_nan: bool) -> None:
        self._inner = inner
        self._poisoned = {row.tobytes() for row in poisoned}
        self._with_nan = with_nan
        self.n_calls = 0

    def logits(self, rows: Sequence[TokenIds], options: Any) -> FloatArray:
        """Fail as ONNX Runtime fails, or return the real logits."""
        self.n_calls += 1
        hit = [row.tobytes() in self._poisoned for row in rows]
        if any(hit) and not self._with_nan:
            raise InvalidArgument("shape mismatch at node 7")
        logits: FloatArray = self._inner.logits(rows, options).copy()
        logits[np.array(hit), 3] = np.nan
        return logits


def poison(classifier: Classifier, texts: list[str], *, with_nan: bool) -> PoisonedSession:
    """Make the model fail on these texts."""
    rows = classifier._tokenizer.encode([f"user: {text}" for text in texts])
    session = PoisonedSession(classifier._sessions.lone, rows, with_nan=with_nan)
    classifier._sessions.lone = classifier._sessions.parallel = session  # type: ignore[assignment]
    return session


def test_batches_side_by_side_give_the_answers_of_one_thread(
    classifier: Classifier, conversations: list[list[Turn]]
) -> None:
    """Threads take batches as they fall idle; neither order nor answer may depend on that."""
    two_sessions = Classifier(classifier.bundle, classifier.policy, n_threads=2, max_padded_tokens=64)
    one_thread, _ = classifier.classify(conversations)
    side_by_side, stats = two_sessions.classify(conversations)
    assert stats.n_batches > 2
    for one, other in zip(one_thread, side_by_side, strict=True):
        assert isinstance(one, Classification)
        assert isinstance(other, Classification)
        assert other.probabilities == pytest.approx(one.probabilities, abs=1e-4)


def test_results_come_in_the_order_of_the_input(classifier: Classifier, conversations: list[list[Turn]]) -> None:
    """Rows are sorted by length inside; a mix-up would put a verdict on the wrong chat."""
    forward, _ = classifier.classify(conversations)
    backward, _ = classifier.classify(conversations[::-1])
    for one, other in zip(forward, backward[::-1], strict=True):
        assert isinstance(one, Classification)
        assert isinstance(other, Classification)
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)


def test_a_chat_is_judged_alike_alone_and_in_any_batch(classifier: Classifier, conversations: list[list[Turn]]) -> None:
    """Verdicts are deterministic: same content, same answer, whatever else was waiting."""
    together, _ = classifier.classify(conversations)
    for turns, in_batch in zip(conversations, together, strict=True):
        (alone,), _ = classifier.classify([turns])
        assert isinstance(alone, Classification)
        assert isinstance(in_batch, Classification)
        assert in_batch.probabilities == pytest.approx(alone.probabilities, abs=1e-4)
        assert in_batch.category == alone.category


def test_a_classification_is_complete(classifier: Classifier, conversations: list[list[Turn]]) -> None:
    """13 probabilities that add up, and a judgement made from them."""
    results, stats = classifier.classify(conversations)
    for result in results:
        assert isinstance(result, Classification)
        assert list(result.probabilities) == list(CHAT_13.codes)
        assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
        banned = min(1.0, sum(result.evidence[code] for code in classifier.policy.banned))
        assert result.judgement.banned_probability == pytest.approx(banned, abs=1e-9)
        assert all(result.evidence[code] >= result.probabilities[code] for code in CHAT_13.codes)
        assert result.probabilities[result.category] == max(result.probabilities.values())
    assert stats.n_rows == len(conversations)
    assert stats.n_tokens <= stats.n_padded_tokens
    assert 0 <= stats.padding_ratio < 1


def test_in_format_1_the_score_is_of_the_probabilities_alone(bundle: Bundle, conversations: list[list[Turn]]) -> None:
    """Bundles from before there were pieces answer as they did."""
    results, stats = Classifier(in_format_1(bundle), DEFAULT_POLICY, n_threads=1).classify(conversations)
    assert stats.n_pieces == 0
    for result in results:
        assert isinstance(result, Classification)
        assert result.evidence == result.probabilities
        assert (result.unevaluated, result.language) == ((), None)
        banned = sum(result.probabilities[code] for code in DEFAULT_POLICY.banned)
        assert result.judgement.banned_probability == round(banned, 6)


@pytest.mark.parametrize("with_nan", [False, True])
@pytest.mark.parametrize("n_poisoned", [1, 3])
def test_a_row_that_breaks_the_model_is_isolated(classifier: Classifier, n_poisoned: int, with_nan: bool) -> None:
    """F30: one poison item fails alone; its neighbours get the answers they would have had."""
    texts = [f"hello number {i}" for i in range(33)]
    expected, _ = classifier.classify([conversation(text) for text in texts])
    bad = texts[5 : 5 + n_poisoned]
    session = poison(classifier, bad, with_nan=with_nan)
    results, _ = classifier.classify([conversation(text) for text in texts])
    for text, result, reference in zip(texts, results, expected, strict=True):
        if text in bad:
            assert isinstance(result, RowFailed)
            assert "hello" not in result.error
        else:
            assert isinstance(result, Classification)
            assert isinstance(reference, Classification)
            assert result.probabilities == pytest.approx(reference.probabilities, abs=1e-4)
    # Halving costs a logarithm per bad row, not a call per row.
    assert session.n_calls < 30


def test_a_batch_in_which_every_row_fails_still_ends(classifier: Classifier) -> None:
    """Nothing to save, and nothing to loop over for ever."""
    texts = ["one", "two", "three"]
    poison(classifier, texts, with_nan=False)
    results, _ = classifier.classify([conversation(text) for text in texts])
    assert all(isinstance(result, RowFailed) for result in results)


def test_hostile_texts_are_judged_like_any_other(classifier: Classifier) -> None:
    """F28 and F29: each of these once broke a tokenizer or a batch somewhere."""
    hostile = [
        "\ud800 hello",
        "x" * 1_000_000,
        "\u200b",
        "[SEP] [PAD] [CLS]",
        "\x00\x1b[2J",
        "a" + "\u0301\u0316" * 50_000,
    ]
    results, _ = classifier.classify([conversation(text) for text in hostile])
    assert all(isinstance(result, Classification) for result in results)


def test_no_conversations_give_no_results(classifier: Classifier) -> None:
    """A batch of rejections and cache hits alone asks for nothing."""
    assert classifier.classify([])[0] == []
