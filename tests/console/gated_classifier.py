"""A classifier that answers always the same, and only when it is let: so that tests need not wait for a slow moment."""

import threading
from collections.abc import Sequence

from console.judging.request import Answer
from model import Classification, ClassifyStats, InferenceStalled
from schemas import Turn


class GatedClassifier:
    """Counts what it is asked."""

    def __init__(self, answer: Classification) -> None:
        self._answer = answer
        self._gate = threading.Event()
        self.entered = threading.Semaphore(0)
        """Released at each call."""
        self.batches: list[list[str]] = []
        """The last texts of the conversations of each call."""
        self.is_worn_out = False
        self.stalls_on: str | None = None
        self.fails_on: str | None = None

    def open(self) -> None:
        """Let it answer, from now on."""
        self._gate.set()

    def classify(self, conversations: Sequence[Sequence[Turn]]) -> tuple[list[Answer], ClassifyStats]:
        """Answer once the gate is open."""
        texts = [turns[-1].text for turns in conversations]
        self.batches.append(texts)
        self.entered.release()
        self._gate.wait()
        if self.stalls_on in texts:
            raise InferenceStalled("too slow; raise MODERATION_MODEL__TIMEOUT_S", n_timeouts=1, n_abandoned=0)
        if self.fails_on in texts:
            raise ZeroDivisionError
        return [self._answer for _ in conversations], ClassifyStats()
