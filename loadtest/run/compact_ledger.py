"""Which events were sent and what came of each: lost, duplicated, hit, dead-lettered, and how late.

Every event carries its sequence number in its event id, which the worker copies into the verdict, so the two ends meet
without looking at offsets. Seventeen bytes an event and sixteen a chat, whatever the run's length: for millions of
events, where the harness' own ledger keeps every record.

Invariant: n_answered + n_lost = n_sent once the reader has seen everything.
"""

from array import array
from collections.abc import Iterable, Sequence

import numpy as np
import orjson
from confluent_kafka import Message
from numpy.typing import NDArray

from loadtest.run.latency import LatencyHistogram
from testkit.records import InputRecord, OutputRecord, Place
from testkit.topics import Topics

_MOST_COUNTED = 255


class CompactLedger:
    """The account of one measurement, an `Account`. One thread sends, one answers; neither touches the other's fields.

    Other runs may share its topics: what answers them is foreign, and no fault.

    Args:
        topics: Where outcomes come from.
        run_id: Prefix of this measurement's event ids; everything else is foreign.
        n_events: Events that will be sent; where more come, it grows.
    """

    def __init__(self, topics: Topics, run_id: str, n_events: int = 0) -> None:
        self._topics = topics
        self._run_id = run_id
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
        self.n_out_of_order = 0
        self.last_answer_s = 0.0
        # Per topic, by chat number: the newest event that has an outcome.
        self._newest = {topics.verdicts: array("q"), topics.dead_letters: array("q")}
        self.fingerprint = 0
        """Of the places of the outcomes seen, whatever their order: the sum of their hashes."""

    def handed_over(self, sequence: int, due_s: float) -> None:
        """Note that an event is about to be sent, and when it was meant to be, monotonic seconds."""
        while sequence >= len(self._due_s):
            self._due_s.append(0.0)
            self._answered_s.append(0.0)
            # Last: its length is what an answer is checked against.
            self._answers.append(0)
        self._due_s[sequence] = due_s
        self.n_sent += 1

    def acknowledged(self, place: Place, record: InputRecord) -> None:
        """Nothing: an event is known by its number, not by its place."""

    def take(self, messages: Sequence[Message], now_s: float) -> None:
        """Book committed verdicts and dead letters, seen at `now_s`, monotonic seconds."""
        for message in messages:
            place = str(message.topic()), int(message.partition() or 0), int(message.offset() or 0)
            self.book(place, message.value(), now_s)

    def book(self, place: tuple[str, int, int], value: bytes | None, now_s: float) -> None:
        """Book one outcome: where it lies and what it says."""
        # A dead letter is the event itself.
        content, is_verdict = orjson.loads(value or b"{}"), place[0] == self._topics.verdicts
        if content.get("kind") == "override":
            # A person's decision is no outcome of an event.
            return
        event_id = content.get("event_id")
        sequence = self.answered(
            event_id, now_s, cache_hit=is_verdict and content["cache_hit"], dead_letter=not is_verdict
        )
        if sequence is not None:
            self.fingerprint += hash(place)
            self._check_order(place[0], content.get("chat_id"), sequence)

    def _check_order(self, topic: str, chat_id: object, sequence: int) -> None:
        # A chat's events are sent in turn and lie in one partition, as its verdicts do: a reader sees them in turn.
        digits = str(chat_id).rpartition("-")[2]
        if not digits.isdecimal():
            return
        chat, newest = int(digits), self._newest[topic]
        if chat >= len(newest):
            newest.extend([-1] * (chat + 1 - len(newest)))
        self.n_out_of_order += sequence < newest[chat]
        newest[chat] = sequence

    def answered(
        self, event_id: object, now_s: float, *, cache_hit: bool = False, dead_letter: bool = False
    ) -> int | None:
        """Note one committed verdict or dead letter, seen at `now_s`; return the number of its event, None: foreign."""
        sequence = self._sequence(event_id)
        if sequence is None:
            self.n_foreign += 1
            return None
        self.last_answer_s = now_s
        n_before = self._answers[sequence]
        self._answers[sequence] = min(_MOST_COUNTED, n_before + 1)
        if n_before:
            self.n_duplicated += 1
            return sequence
        self._answered_s[sequence] = now_s
        self.n_answered += 1
        self.n_hits += cache_hit
        self.n_dead_letters += dead_letter
        self.latency.record(now_s - self._due_s[sequence])
        return sequence

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

    def assert_exactly_once(self, final: Iterable[OutputRecord]) -> None:
        """I1 to I4, for the reader that ran beside and for one that comes last, which saw `final`.

        Raises:
            AssertionError: names the promise that is broken, with a count.
        """
        last = CompactLedger(self._topics, self._run_id, self.n_sent)
        for sequence, due_s in enumerate(self._due_s[: self.n_sent]):
            last.handed_over(sequence, due_s)
        for record in final:
            last.book(record[:3], record.value, self.last_answer_s)
        for seen in (last, self):
            if broken := seen.broken_promises():
                raise AssertionError(", ".join(broken))
        if last.fingerprint != self.fingerprint:
            raise AssertionError("I4: readers disagree")

    def broken_promises(self) -> list[str]:
        """Return which of I1 to I3 do not hold for what was seen so far, with counts."""
        counts = {"I1: lost": self.n_lost, "I2: more than once": self.n_duplicated, "I3: order": self.n_out_of_order}
        return [f"{promise}: {n} of {self.n_sent}" for promise, n in counts.items() if n]
