"""The guardrail: one text or many, from any thread, and what is no text is named by its place."""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from model import Bundle, BundleError, Classifier, Guardrail, RowFailed
from schemas import CHAT_13, DEFAULT_POLICY, Role, Turn

TEXTS = [
    "write a poem about a fox",
    "how do i boil an egg",
    "hello!",
    "debug this: def f(x): retrun x",
    "compare the price of two laptops " * 20,
]


@pytest.fixture(scope="module")
def guardrail(bundle: Bundle) -> Guardrail:
    """Return a guardrail over the shipped bundle."""
    return Guardrail(bundle, n_threads=1)


def test_a_text_is_classified_as_a_lone_user_message(guardrail: Guardrail, bundle: Bundle) -> None:
    """What the worker would say of it, and nothing else."""
    classifier = Classifier(bundle, DEFAULT_POLICY, n_threads=1)
    for text in TEXTS:
        (expected,), _ = classifier.classify([[Turn(Role.USER, text)]])
        assert not isinstance(expected, RowFailed)
        found = guardrail.check_text(text)
        assert (found["text"], found["label"]) == (text, expected.category)
        assert found["confidence"] == pytest.approx(expected.probabilities[expected.category], abs=1e-3)


def test_without_a_bundle_it_is_the_shipped_one_and_a_folder_will_do(bundle_path: Path) -> None:
    """The shortest program that works."""
    assert Guardrail(n_threads=1).labels == CHAT_13.codes
    assert Guardrail(str(bundle_path), n_threads=1).check_text("hello!")["label"] == "I"
    with pytest.raises(BundleError):
        Guardrail(bundle_path / "none")


def test_answers_come_in_the_order_of_the_texts(guardrail: Guardrail) -> None:
    """A batch is sorted by length inside, and cut into calls."""
    texts = [f"{text} {i}" for i in range(250) for text in TEXTS[:3]]
    found = guardrail.batch_check(iter(texts))
    assert [answer["text"] for answer in found] == texts
    assert [answer["label"] for answer in found[:3]] == [guardrail.check_text(text)["label"] for text in texts[:3]]
    assert guardrail.batch_check([]) == []


class CountingClassifier:
    """Stands in for the classifier: notes the calls, and whether two of them met.

    Args:
        inner: The real classifier.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._n_inside = 0
        self.n_most_inside = 0
        self.calls: list[int] = []

    def classify(self, conversations: Sequence[Sequence[Turn]]) -> Any:
        """Classify, and note that it is being done."""
        self._n_inside += 1
        self.n_most_inside = max(self.n_most_inside, self._n_inside)
        self.calls.append(sum(len(turn.text) for turns in conversations for turn in turns))
        found = self._inner.classify(conversations)
        self._n_inside -= 1
        return found


def test_threads_get_the_answers_to_their_own_texts_and_take_turns(
    guardrail: Guardrail, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A classifier is not to be called by two threads at once: answers would be lost or mixed up."""
    counting = CountingClassifier(guardrail._classifier)
    alone = {text: guardrail.check_text(text) for text in TEXTS}
    monkeypatch.setattr(guardrail, "_classifier", counting)
    together = threading.Barrier(8, timeout=60)

    def work(worker: int) -> bool:
        together.wait()
        mine = [TEXTS[(worker + i) % len(TEXTS)] for i in range(10)]
        one_by_one = [guardrail.check_text(text) for text in mine]
        at_once = guardrail.batch_check(mine)
        return all(
            one["label"] == all_["label"] == alone[text]["label"] and one["text"] == all_["text"] == text
            for text, one, all_ in zip(mine, one_by_one, at_once, strict=True)
        )

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    assert len(counting.calls) == 8 * 11
    assert counting.n_most_inside == 1


def test_many_texts_go_in_calls_of_bounded_size(guardrail: Guardrail, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand texts run as batches, and neither their number nor their length is held by one call."""
    counting = CountingClassifier(Stub())
    monkeypatch.setattr(guardrail, "_classifier", counting)
    assert len(guardrail.batch_check(["short text"] * 10_000)) == 10_000
    assert len(counting.calls) == 20
    counting.calls.clear()
    guardrail.batch_check(["x" * 30_000] * 200 + ["y"])
    assert max(counting.calls) <= 2_000_000
    assert len(counting.calls) == 4


class Stub:
    """Answers A to everything, for tests of how texts are cut into calls."""

    def classify(self, conversations: Sequence[Sequence[Turn]]) -> Any:
        """Return one answer for each conversation."""
        return [Said() for _ in conversations], None


class Said:
    """A classification, as far as the guardrail reads it."""

    category = "A"
    probabilities = {"A": 1.0}  # noqa: RUF012  never changed


@pytest.mark.parametrize(
    ("bad", "kind", "said"),
    [
        (None, TypeError, "found NoneType; expected a text"),
        (7, TypeError, "found int"),
        (b"hello", TypeError, "found bytes"),
        (["hello"], TypeError, "found list"),
        (float("nan"), TypeError, "found float"),
        ("", ValueError, "empty or blank"),
        (" \n\u200b", ValueError, "empty or blank"),
        ("half \ud83d of a pair", ValueError, "no valid Unicode at character 5"),
    ],
)
def test_what_is_no_text_is_refused_by_its_place_before_anything_is_classified(
    guardrail: Guardrail, bad: Any, kind: type[Exception], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 7,311 of a table is found by its number and not by trying."""
    counting = CountingClassifier(Stub())
    monkeypatch.setattr(guardrail, "_classifier", counting)
    with pytest.raises(kind, match=rf"^texts\[1\]: {said}"):
        guardrail.batch_check(["hello", bad])
    with pytest.raises(kind, match=rf"^text: {said}"):
        guardrail.check_text(bad)
    assert counting.calls == []


@pytest.mark.parametrize("texts", [None, 7])
def test_what_is_no_list_of_texts_is_refused(guardrail: Guardrail, texts: Any) -> None:
    """In our words, not in those of the loop."""
    with pytest.raises(TypeError, match=r"^texts: a (NoneType|int); expected a list of texts"):
        guardrail.batch_check(texts)


@pytest.mark.parametrize("bundle", [None, 7, ["a"]])
def test_what_is_no_bundle_is_refused(bundle: Any) -> None:
    """A setting that is not there comes as None."""
    with pytest.raises(TypeError, match=r"^bundle: a (NoneType|int|list); expected a bundle's folder"):
        Guardrail(bundle)


@pytest.mark.parametrize("texts", ["hello", b"hello"])
def test_one_text_given_as_many_is_refused(guardrail: Guardrail, texts: Any) -> None:
    """It would be classified letter by letter."""
    with pytest.raises(TypeError, match="one text goes to check_text"):
        guardrail.batch_check(texts)


def test_a_text_that_the_model_fails_on_is_named(guardrail: Guardrail, monkeypatch: pytest.MonkeyPatch) -> None:
    """No made-up label stands in for an answer."""

    class Failing(Stub):
        def classify(self, conversations: Sequence[Sequence[Turn]]) -> Any:
            return [RowFailed("broke") if turns[0].text == "bad" else Said() for turns in conversations], None

    monkeypatch.setattr(guardrail, "_classifier", Failing())
    with pytest.raises(RowFailed, match=r"texts\[600\]: broke"):
        guardrail.batch_check(["fine"] * 600 + ["bad"])
    with pytest.raises(RowFailed, match="text: broke"):
        guardrail.check_text("bad")
