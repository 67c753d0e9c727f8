"""Texts in, labels out, for programs that ask one question: which category is this text, and how sure is the model?

Each text counts as a conversation of one user message, exactly as the worker would read it. Any bundle does.

Invariant: answer i belongs to text i, whichever threads call at once; a call with one bad text classifies none.
"""

import threading
from collections.abc import Iterable, Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Final, TypedDict

from model.bundle.bundle import DEFAULT_BUNDLE_PATH, Bundle, load_bundle
from model.classifier import Classifier
from model.errors import RowFailed
from model.inference.cpu_quota import available_cpus
from schemas import Role, Turn, is_visible, kept_turns

_CALL_TEXTS: Final = 512
"""Texts of one call of the classifier: enough to sort by length, few enough that other threads get their turn."""

_CALL_CHARACTERS: Final = 2_000_000
"""And characters, so that memory stays bounded where the texts are long."""


class CheckedText(TypedDict):
    """What is said of one text."""

    text: str
    label: str
    """Code of the category, of the bundle's taxonomy."""
    confidence: float
    """Its calibrated probability, 0..1; of a bundle that was never calibrated, the model's own."""


class Guardrail:
    """A bundle behind two calls. Safe to share between threads: they take turns, one call of the classifier each.

    Args:
        bundle: A verified bundle, or the folder of one; the shipped one where it is left out.
        n_threads: Inference threads; None takes this process's share of the CPUs.

    Raises:
        TypeError: it is neither a bundle nor a path.
        BundleError: the bundle cannot be loaded.
    """

    def __init__(
        self, bundle: Bundle | str | PathLike[str] = DEFAULT_BUNDLE_PATH, *, n_threads: int | None = None
    ) -> None:
        if not isinstance(bundle, Bundle | str | PathLike):
            raise TypeError(
                f"bundle: a {type(bundle).__name__}; expected a bundle's folder, or a loaded bundle; leave it out for "
                "the shipped one"
            )
        loaded = bundle if isinstance(bundle, Bundle) else load_bundle(Path(bundle))
        self._classifier = Classifier(loaded, loaded.default_policy, n_threads=n_threads or available_cpus())
        self._turn = threading.Lock()
        self.labels: tuple[str, ...] = loaded.taxonomy.codes

    def check_text(self, text: str) -> CheckedText:
        """Return the label of one text.

        Raises:
            TypeError: it is no text.
            ValueError: it shows nothing, or is no valid Unicode.
            RowFailed: the model fails on it.
            InferenceStalled: the model takes too long.
        """
        return self._checked([_conversation(text, "text")], [text])[0]

    def batch_check(self, texts: Iterable[str]) -> list[CheckedText]:
        """Return the label of each text, in order. Texts are read before the first one is classified.

        Raises:
            TypeError: one of them, or all together, is no text; names the position, from 0.
            ValueError: one shows nothing, or is no valid Unicode.
            RowFailed: the model fails on one.
            InferenceStalled: the model takes too long.
        """
        if isinstance(texts, str | bytes):
            raise TypeError(f"texts: a {type(texts).__name__}; expected a list of texts; one text goes to check_text")
        if not isinstance(texts, Iterable):
            raise TypeError(f"texts: a {type(texts).__name__}; expected a list of texts; write [text] for one of them")
        given = list(texts)
        conversations = [_conversation(text, f"texts[{i}]") for i, text in enumerate(given)]
        return [
            answer
            for start, end in _calls(given)
            for answer in self._checked(conversations[start:end], given[start:end], first=start)
        ]

    def _checked(
        self, conversations: Sequence[list[Turn]], texts: Sequence[str], *, first: int | None = None
    ) -> list[CheckedText]:
        with self._turn:
            found, _ = self._classifier.classify(conversations)
        checked: list[CheckedText] = []
        for i, (text, answer) in enumerate(zip(texts, found, strict=True)):
            if isinstance(answer, RowFailed):
                where = "text" if first is None else f"texts[{first + i}]"
                raise RowFailed(f"{where}: {answer.error}; leave it out, or look at the bundle") from answer
            confidence = answer.probabilities[answer.category]
            checked.append({"text": text, "label": answer.category, "confidence": confidence})
        return checked


def _conversation(text: object, where: str) -> list[Turn]:
    if not isinstance(text, str):
        raise TypeError(f"{where}: found {type(text).__name__}; expected a text (str); convert it or leave it out")
    if not is_visible(text):
        raise ValueError(f"{where}: empty or blank; expected a text that shows something; leave it out")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where}: no valid Unicode at character {error.start} (half of a surrogate pair); expected whole "
            "characters; decode it again from its bytes"
        ) from None
    return kept_turns([Turn(Role.USER, text)])


def _calls(texts: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Yield the ranges of texts that one call of the classifier takes."""
    start = n_characters = 0
    for i, text in enumerate(texts):
        is_full = i - start == _CALL_TEXTS or n_characters + len(text) > _CALL_CHARACTERS
        if is_full and i > start:
            yield start, i
            start, n_characters = i, 0
        n_characters += len(text)
    if start < len(texts):
        yield start, len(texts)
