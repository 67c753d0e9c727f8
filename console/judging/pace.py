"""How long what waits will take, as learned from what was classified."""

from typing import Final

_WEIGHT: Final = 0.2
"""Of the newest micro-batch; the last ten or so decide."""


class Pace:
    """Seconds per estimated token, and per micro-batch."""

    def __init__(self) -> None:
        self._token_s: float | None = None
        self._batch_s = 0.0

    def learn(self, *, n_tokens: int, took_s: float) -> None:
        """Note what a micro-batch took."""
        token_s = took_s / max(1, n_tokens)
        if self._token_s is None:
            self._token_s, self._batch_s = token_s, took_s
            return
        self._token_s += _WEIGHT * (token_s - self._token_s)
        self._batch_s += _WEIGHT * (took_s - self._batch_s)

    def expected_s(self, *, n_tokens: int, is_busy: bool) -> float:
        """Return when so many tokens will be done; 0 before anything was classified.

        Args:
            n_tokens: Of all that is done before, and of what is asked about.
            is_busy: Whether a micro-batch is being classified; half of one is left, on average.
        """
        return n_tokens * (self._token_s or 0.0) + (self._batch_s / 2 if is_busy else 0.0)
