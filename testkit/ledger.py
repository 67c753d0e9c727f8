"""The account of a run: what was sent, what a reader of committed records saw come of it, and whether that is right.

I1 every input record ends as exactly one of verdict or dead letter; I2 none twice; I3 order per chat kept; I4 nothing
of an aborted transaction visible. I1 to I3 are about events: a person's decision is a verdict more on a record that has
one, and may come twice.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson
from confluent_kafka import Message

from testkit.records import InputRecord, OutputRecord, Place
from testkit.topics import Topics


class Account(Protocol):
    """What every ledger can do. `Ledger` keeps all records; a load test's keeps a few bytes of each."""

    @property
    def n_sent(self) -> int:
        """Records that were handed to the producer."""

    @property
    def n_answered(self) -> int:
        """Of those, how many have a verdict or a dead letter."""

    @property
    def n_lost(self) -> int:
        """Of those, how many have none so far."""

    @property
    def n_duplicated(self) -> int:
        """Outcomes beyond the first of their record."""

    @property
    def n_out_of_order(self) -> int:
        """Outcomes seen after that of a later record of their chat."""

    @property
    def n_dead_letters(self) -> int:
        """Answered records whose outcome is a dead letter."""

    @property
    def n_foreign(self) -> int:
        """Outcomes of anything that was not sent."""

    def handed_over(self, sequence: int, due_s: float) -> None:
        """Note that a record is about to be sent, and when it was meant to be, monotonic seconds."""

    def acknowledged(self, place: Place, record: InputRecord) -> None:
        """Note where the broker has put a record. Its outcome may have come first."""

    def take(self, messages: Sequence[Message], now_s: float) -> None:
        """Book what a read_committed reader that runs beside has seen at `now_s`, monotonic seconds."""

    def assert_exactly_once(self, final: Iterable[OutputRecord]) -> None:
        """I1 to I4, for the reader that ran beside and for one that comes last, which saw `final`."""


@dataclass(frozen=True, slots=True)
class Faults:
    """Every way in which an account can fail to balance."""

    missing: list[Place]
    """Sent, never answered."""
    doubled: list[Place]
    """Answered more than once."""
    unknown: list[Place]
    """Answered, never sent."""

    def __bool__(self) -> bool:
        return bool(self.missing or self.doubled or self.unknown)


class Ledger:
    """Keeps every record, sent and seen, so that it can name what is wrong. An `Account`.

    A record is known by its place on the broker, which every verdict and dead letter names as its source, so that two
    records with the same content are told apart.

    Invariant: `n_lost` is 0 exactly when every record that was handed over has a place and at least one outcome.
    """

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.sent: dict[Place, InputRecord] = {}
        self.seen_at_s: dict[Place, float] = {}
        """When an output record was first seen, by its own place."""
        self.n_sent = 0
        self.n_answered = 0
        self._seen: dict[Place, OutputRecord] = {}
        self._sources: dict[Place, Place] = {}
        self._n_unreadable = 0
        self._n_outcomes: Counter[Place] = Counter()

    def handed_over(self, sequence: int, due_s: float) -> None:  # noqa: ARG002  a compact one needs them
        """Note that a record is about to be sent; its place is not known yet."""
        self.n_sent += 1

    def acknowledged(self, place: Place, record: InputRecord) -> None:
        """Note where the broker has put a record. Its outcome may have come first."""
        self.sent[place] = record
        self.n_answered += place in self._n_outcomes

    def take(self, messages: Sequence[Message], now_s: float) -> None:
        """Book what a read_committed reader has seen; a record that it has seen before is no second outcome."""
        for message in messages:
            record = OutputRecord.of(message)
            place = Place(*record[:3])
            if place not in self._seen:
                # Before the record, so that who sees the record finds its time.
                self.seen_at_s[place] = now_s
                self._seen[place] = record
                self._book(place, record)

    def _book(self, place: Place, record: OutputRecord) -> None:
        try:
            if is_override(record, self.topics):
                return
            source = answered_place(record, self.topics)
        except (KeyError, TypeError, ValueError):
            # In a reader's thread nobody would see an error; the assertions meet the record again.
            self._n_unreadable += 1
        else:
            self._sources[place] = source
            self.answered(source)

    def answered(self, place: Place) -> None:
        """Note one outcome of the record at this place."""
        self.n_answered += place in self.sent and place not in self._n_outcomes
        self._n_outcomes[place] += 1

    @property
    def seen(self) -> list[OutputRecord]:
        """What the reader has seen so far, in the order in which it was seen; each place once."""
        return list(self._seen.values())

    @property
    def n_seen(self) -> int:
        """How many records the reader has seen so far."""
        return len(self._seen)

    @property
    def n_lost(self) -> int:
        """Records that were handed over and have no outcome yet."""
        return self.n_sent - self.n_answered

    @property
    def n_duplicated(self) -> int:
        """Outcomes beyond the first of their record."""
        return sum(n - 1 for place, n in self._n_outcomes.items() if place in self.sent)

    @property
    def n_out_of_order(self) -> int:
        """Outcomes seen after that of a later record of their chat."""
        latest: dict[tuple[str, bytes | None], int] = {}
        n_found = 0
        for place, source in self._sources.items():
            if source not in self.sent:
                continue
            chat = place.topic, self._seen[place].key
            n_found += source.offset < latest.get(chat, -1)
            latest[chat] = source.offset
        return n_found

    @property
    def n_dead_letters(self) -> int:
        """Answered records whose first outcome is a dead letter."""
        first: dict[Place, str] = {}
        for place, source in self._sources.items():
            first.setdefault(source, place.topic)
        return sum(topic == self.topics.dead_letters for place, topic in first.items() if place in self.sent)

    @property
    def n_foreign(self) -> int:
        """Outcomes of anything that was not sent; here, where the topics are the run's own, there must be none."""
        return self._n_unreadable + sum(n for place, n in self._n_outcomes.items() if place not in self.sent)

    def faults(self) -> Faults:
        """Compare both sides of the account."""
        return Faults(
            missing=sorted(self.sent.keys() - self._n_outcomes.keys()),
            doubled=sorted(place for place, n in self._n_outcomes.items() if n > 1),
            unknown=sorted(self._n_outcomes.keys() - self.sent.keys()),
        )

    def assert_exactly_once(self, final: Iterable[OutputRecord]) -> None:
        """I1 to I4, for the reader that ran beside and for one that comes last."""
        final, concurrent = list(final), self.seen
        for seen in (final, concurrent):
            self._assert_each_once([record for record in seen if not is_override(record, self.topics)])
        self._assert_order([record for record in final if not is_override(record, self.topics)])
        assert {record[:3] for record in concurrent} == {record[:3] for record in final}, "I4: readers disagree"

    def _assert_each_once(self, records: list[OutputRecord]) -> None:
        counts = Counter(origin(record, self.topics) for record in records)
        assert counts.keys() == self.sent.keys(), (
            f"I1: lost {sorted(self.sent.keys() - counts.keys())[:10]}, "
            f"unknown {sorted(counts.keys() - self.sent.keys())[:10]}"
        )
        twice = [place for place, count in counts.items() if count > 1]
        assert not twice, f"I2: {len(twice)} more than once: {sorted(twice)[:10]}"
        for record in records:
            place = origin(record, self.topics)
            sent = self.sent[place]
            if record.topic == self.topics.verdicts:
                chat_id = orjson.loads(record.value or b"")["chat_id"]
                assert chat_id == orjson.loads(sent.value or b"")["chat_id"], f"I1: a verdict of {chat_id} at {place}"
            else:
                assert (record.key, record.value) == (sent.key, sent.value), f"I1: not the event that lies at {place}"

    def _assert_order(self, records: list[OutputRecord]) -> None:
        latest: dict[tuple[str, bytes | None], int] = {}
        for record in records:
            offset = origin(record, self.topics).offset
            assert offset > latest.get((record.topic, record.key), -1), f"I3: chat {record.key!r} at {offset}"
            latest[record.topic, record.key] = offset


def origin(record: OutputRecord, topics: Topics) -> Place:
    """Return the input record that an output record answers; fail where it is of another topic."""
    place = answered_place(record, topics)
    assert place.topic == topics.events, f"{place} lies in another topic than {topics.events}"
    return place


def is_override(record: OutputRecord, topics: Topics) -> bool:
    """Say whether an output record is a person's decision, and no outcome of an event."""
    if record.topic != topics.verdicts:
        return False
    verdict = orjson.loads(record.value or b"")
    return isinstance(verdict, dict) and verdict.get("kind") == "override"


def answered_place(record: OutputRecord, topics: Topics) -> Place:
    """Return the record that an output record names as its source, whatever its topic."""
    if record.topic == topics.dead_letters:
        headers = record.headers
        return Place(headers["origin_topic"], int(headers["origin_partition"]), int(headers["origin_offset"]))
    source = orjson.loads(record.value or b"")["source"]
    return Place(source["topic"], source["partition"], source["offset"])
