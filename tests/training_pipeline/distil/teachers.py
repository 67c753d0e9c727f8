"""A teacher without a model."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from schemas import CHAT_13, Turn


@dataclass
class CountingTeacher:
    """Answers by the length of the last turn, and remembers how often it was asked."""

    unseen: frozenset[str] | None = None
    digest: str = "sha256:counting"
    dies_after: int = 1_000_000
    asked: list[int] = field(default_factory=list)

    def probabilities(self, conversations: Sequence[Sequence[Turn]]) -> NDArray[np.float32]:
        """See `Teacher`."""
        if sum(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked.append(len(conversations))
        sharp = np.array([len(turns[-1].text) % len(CHAT_13.codes) for turns in conversations])
        answers: NDArray[np.float32] = (0.87 * np.eye(len(CHAT_13.codes)) + 0.01)[sharp].astype(np.float32)
        return answers
