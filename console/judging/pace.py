"""How long what waits will take, as learned from what was classified."""

from typing import Final

_WEIGHT: Final = 0.2
"""Of the newest micro-batch; the last ten or so decide."""
_WEIGHT_OF_SLOWER: Final = 0.6
"""Of one that took longer than was learned. Who is refused in a slow moment asks again, who is admitted on a pace that
is gone waits for nothing: so a slowdown is believed at once, and its end after a few micro-batches."""


class Pace:
    """Seconds per estimated token and per micro-batch, and what answers wait for the event loop."""

    def __init__(self) -> None:
        self._token_s: float | None = None
        self._batch_s = 0.0
        self._delivery_s = 0.0

    def learn(self, *, n_tokens: int, took_s: float) -> None:
        """Note what a micro-batch took."""
        token_s = took_s / max(1, n_tokens)
        if self._token_s is None:
            self._token_s, self._batch_s = token_s, took_s
            return
        self._token_s = _moved(self._token_s, token_s)
        self._batch_s = _moved(self._batch_s, took_s)

    def learn_delivery(self, took_s: float) -> None:
        """Note how long answers that were there waited for the event loop."""
        self._delivery_s = _moved(self._delivery_s, took_s)

    def expected_s(self, *, n_tokens: int, in_hand: tuple[int, float] | None = None) -> float:
        """Return when so many tokens will be answered; 0 before anything was classified.

        Args:
            n_tokens: Of all that is done before, and of what is asked about. It is answered with the last of its
                micro-batch, in which there may be others that came later.
            in_hand: Tokens of the micro-batch that is being classified, and seconds since it began; None: there is
                none. One that is late shows a slowdown before it ends.
        """
        if self._token_s is None:
            return 0.0
        # The request was read by the same loop that will write its answer.
        loop_s = 2 * self._delivery_s
        if in_hand is None:
            return n_tokens * self._token_s + loop_s
        n_in_hand, since_s = in_hand
        so_far_s = since_s / max(1, n_in_hand)
        token_s = max(self._token_s, _moved(self._token_s, so_far_s))
        # Of a late one nobody knows; it is taken to stay late for as long again.
        left_s = abs(n_in_hand * self._token_s - since_s)
        return left_s + n_tokens * token_s + self._batch_s + loop_s


def _moved(learned: float, newest: float) -> float:
    return learned + (_WEIGHT_OF_SLOWER if newest > learned else _WEIGHT) * (newest - learned)
