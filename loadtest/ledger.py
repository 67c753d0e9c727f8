"""Which events were sent and what came of each: lost, duplicated, hit, dead-lettered, and how late.

Every event carries its sequence number in its event id, which the worker copies into the verdict, so the two ends meet
without looking at offsets. Seventeen bytes an event, whatever the run's length.

Invariant: n_answered + n_lost = n_sent once the reader has seen everything.
"""

from array import array

import numpy as np
from numpy.typing import NDArray

from loadtest.run.latency import LatencyHistogram

_MOST_COUNTED = 255


class Ledger:
    """The account of one measurement. One thread sends, one thread answers; neither touches the other's fields.

    Args:
        run_id: Prefix of this measurement's event ids; everything else is foreign.
        n_events: Events that will be sent; where more come, it grows.
    """

    def __init__(self, run_id: str, n_events: int = 0) -> None:
        self._prefix = f"{run_id}:"
        self._due_s = array("d", bytes(8 * n_events))
        self._answered_s = array("d", bytes(8 * n_events))
        self._answers = bytearray(n_events)
        self.latency = LatencyHistogram()
        self.n_sent = 0
        self.n_answered = 0
        self.n_duplicated = 0
        self.n_hits = 0
        self.n_dead_letters = 0
        self.n_foreign = 0
        self.last_answer_s = 0.0

    def sent(self, sequence: int, due_s: float) -> None:
        """Note that an event was sent, and when it was meant to be, monotonic seconds; call it before sending."""
        while sequence >= len(self._due_s):
            self._due_s.append(0.0)
            self._answered_s.append(0.0)
            # Last: its length is what an answer is checked against.
            self._answers.append(0)
        self._due_s[sequence] = due_s
        self.n_sent += 1

    def answered(self, event_id: object, now_s: float, *, cache_hit: bool = False, dead_letter: bool = False) -> None:
        """Note one committed verdict or dead letter, seen at `now_s`, monotonic seconds."""
        sequence = self._sequence(event_id)
        if sequence is None:
            self.n_foreign += 1
            return
        self.last_answer_s = now_s
        n_before = self._answers[sequence]
        self._answers[sequence] = min(_MOST_COUNTED, n_before + 1)
        if n_before:
            self.n_duplicated += 1
            return
        self._answered_s[sequence] = now_s
        self.n_answered += 1
        self.n_hits += cache_hit
        self.n_dead_letters += dead_letter
        self.latency.record(now_s - self._due_s[sequence])

    def _sequence(self, event_id: object) -> int | None:
        if not isinstance(event_id, str) or not event_id.startswith(self._prefix):
            return None
        digits = event_id[len(self._prefix) :]
        if not digits.isdecimal() or int(digits) >= len(self._answers):
            return None
        return int(digits)

    @property
    def n_lost(self) -> int:
        """Events that were sent and have no answer so far."""
        return self.n_sent - self.n_answered

    def times(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return when each sent event was due and when it was first answered, monotonic seconds.

        Events are sent in the order of their numbers. An event without an answer has no time (not a number).
        """
        due_s = np.array(self._due_s[: self.n_sent], dtype=np.float64)
        answered_s = np.array(self._answered_s[: self.n_sent], dtype=np.float64)
        answered_s[answered_s == 0.0] = np.nan
        return due_s, answered_s

    def summary(self) -> dict[str, int]:
        """Return the counts."""
        return {
            "n_sent": self.n_sent,
            "n_verdicts": self.n_answered - self.n_dead_letters,
            "n_dead_letters": self.n_dead_letters,
            "n_lost": self.n_lost,
            "n_duplicated": self.n_duplicated,
            "n_hits": self.n_hits,
        }
