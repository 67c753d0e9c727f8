"""What became of a stream that goes on while workers and brokers come and go, and how long chats waited meanwhile.

The wait of an event counts from the moment at which it was handed to the producer to the moment at which a
read_committed reader holds its verdict, so the producer's own wait for a broker that is gone is part of it. The pause
of a chat in a phase is its longest wait among the events sent in that phase.

One thread sends, one thread answers; phases are marked by a third.
"""

import math
import statistics
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from loadtest.run.compact_ledger import CompactLedger
from testkit.topics import Topics


@dataclass(frozen=True)
class PhaseMark:
    """Where a phase begins; it ends where the next one begins."""

    name: str
    begun_s: float


class ScaleAccount:
    """The account of one stream.

    Args:
        run_id: Prefix of the stream's event ids; everything else is foreign and not counted.
        topics: Where outcomes come from.
    """

    def __init__(self, run_id: str, topics: Topics) -> None:
        self._run_id = run_id
        self._ledger = CompactLedger(topics, run_id)
        self._chats = array("q")
        self.marks: list[PhaseMark] = []

    @property
    def n_sent(self) -> int:
        """Events handed to the producer so far."""
        return self._ledger.n_sent

    @property
    def n_answered(self) -> int:
        """Events with an outcome so far."""
        return self._ledger.n_answered

    @property
    def n_lost(self) -> int:
        """Events without an outcome so far."""
        return self._ledger.n_lost

    def begin(self, name: str) -> None:
        """Begin a phase."""
        self.marks.append(PhaseMark(name, time.perf_counter()))

    def sent(self, chat: int) -> str:
        """Note the next event of a chat and return its event id; call it before sending."""
        sequence = self._ledger.n_sent
        self._chats.append(chat)
        self._ledger.handed_over(sequence, time.perf_counter())
        return f"{self._run_id}:{sequence}"

    def take(self, messages: Sequence[Message], now_s: float) -> None:
        """Book outcomes that a read_committed reader has seen at `now_s`, monotonic seconds."""
        self._ledger.take(messages, now_s)

    def summary(self) -> dict[str, Any]:
        """Return the counts and the phases."""
        return {
            "n_sent": self.n_sent,
            "n_lost": self.n_lost,
            "n_duplicated": self._ledger.n_duplicated,
            "n_out_of_order": self._ledger.n_out_of_order,
            "n_dead_letters": self._ledger.n_dead_letters,
            "phases": self.phases(),
        }

    def phases(self) -> list[dict[str, Any]]:
        """Return, per phase, what was sent and how long the chats paused; an event without an answer has no wait."""
        ends = [mark.begun_s for mark in self.marks[1:]] + [float("inf")]
        pauses: list[dict[int, float]] = [{} for _ in self.marks]
        counts = [0] * len(self.marks)
        phase = 0
        for sent_s, answered_s, chat in zip(*self._ledger.times(), self._chats, strict=True):
            while sent_s >= ends[phase]:
                phase += 1
            counts[phase] += 1
            if not math.isnan(answered_s):
                pauses[phase][chat] = max(pauses[phase].get(chat, 0.0), float(answered_s - sent_s))
        return [
            {
                "name": mark.name,
                "begun_s": round(mark.begun_s - self.marks[0].begun_s, 1),
                "n_events": n,
                **_spread(waits),
            }
            for mark, n, waits in zip(self.marks, counts, pauses, strict=True)
        ]


def _spread(waits: dict[int, float]) -> dict[str, Any]:
    """Return the median and the largest pause of the chats of one phase, seconds; 0 without any."""
    longest = list(waits.values()) or [0.0]
    return {
        "n_chats": len(waits),
        "pause_median_s": round(statistics.median(longest), 3),
        "pause_max_s": round(max(longest), 3),
    }
