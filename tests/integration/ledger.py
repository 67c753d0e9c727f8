"""The oracle: which input records were written, and what became of each.

I1 every input record ends as exactly one of verdict or dead letter; I2 none twice; I3 order per chat kept; I4 nothing
of an aborted transaction visible.
"""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import orjson
from confluent_kafka import KafkaError, Message, Producer

from schemas import Verdict, decode_verdict
from tests.integration.polling import wait_until
from tests.integration.topic_reader import ReadRecord, TopicReader, read_all


class Topics(NamedTuple):
    """The topics of one test."""

    events: str
    verdicts: str
    dead_letters: str

    @property
    def outputs(self) -> list[str]:
        """What downstream teams read."""
        return [self.verdicts, self.dead_letters]


class Place(NamedTuple):
    """Where an input record lies."""

    partition: int
    offset: int


class Sent(NamedTuple):
    """An input record as it was sent."""

    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


def origin(record: ReadRecord, topics: Topics) -> Place:
    """Return the input record that an output record answers."""
    if record.topic == topics.dead_letters:
        assert record.headers["origin_topic"] == topics.events
        return Place(int(record.headers["origin_partition"]), int(record.headers["origin_offset"]))
    source = orjson.loads(record.value or b"")["source"]
    assert source["topic"] == topics.events
    return Place(source["partition"], source["offset"])


class Ledger:
    """Sends input records, notes where they came to lie, and settles accounts.

    A read_committed reader runs beside the test from the first record on: what it ever saw counts.
    """

    def __init__(self, bootstrap_servers: str, topics: Topics) -> None:
        self.topics = topics
        self.sent: dict[Place, Sent] = {}
        self._sent_at_s: dict[Place, float] = {}
        self._bootstrap_servers = bootstrap_servers
        self._lock = threading.Lock()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap_servers,
                "linger.ms": 1,
                "message.max.bytes": 15_000_000,
                "enable.idempotence": True,
                "log_level": 0,
            }
        )
        self._reader = TopicReader(bootstrap_servers, topics.outputs)

    def send_raw(self, records: Iterable[Sent], *, partition: int = -1) -> None:
        """Write records as they are and wait until the broker has them."""

        def on_delivery(error: KafkaError | None, message: Message, sent: Sent) -> None:
            assert error is None, error
            place = Place(int(message.partition() or 0), int(message.offset() or 0))
            with self._lock:
                self._sent_at_s[place] = time.monotonic()
                self.sent[place] = sent

        for record in records:
            self._producer.produce(
                self.topics.events,
                value=record.value,
                key=record.key,
                partition=partition,
                headers=[*record.headers] or None,
                on_delivery=partial(on_delivery, sent=record),
            )
            self._producer.poll(0)
        assert self._producer.flush(30) == 0

    def send(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write chat events, keyed by chat as upstream does."""
        self.send_raw(Sent(str(event["chat_id"]).encode(), orjson.dumps(event)) for event in events)

    @property
    def seen(self) -> list[ReadRecord]:
        """What the concurrent read_committed reader has seen so far."""
        return self._reader.records

    def longest_pause_s(self, places: Iterable[Place]) -> float:
        """Return the longest time from append to the moment at which a reader saw the outcome, of these records."""
        seen_at_s = {origin(record, self.topics): self._reader.seen_at_s[record[:3]] for record in self.seen}
        return max((seen_at_s[place] - self._sent_at_s[place] for place in places), default=0.0)

    def wait_complete(self, *, timeout_s: float = 120.0) -> None:
        """Wait until every input record has an outcome."""
        self.wait_seen(len(self.sent), timeout_s=timeout_s)

    def wait_seen(self, n_records: int, *, timeout_s: float = 60.0) -> None:
        """Wait until so many input records have an outcome."""
        wait_until(
            lambda: (
                self._reader.n_records >= n_records
                and len({origin(record, self.topics) for record in self.seen}) >= n_records
            ),
            timeout_s=timeout_s,
            what=lambda: f"{self._reader.n_records} outcomes of {n_records}; {self._describe_missing()}",
        )

    def _describe_missing(self) -> str:
        """Say what waits on which input partition, and whether it is unread or in a transaction that has not ended."""
        missing = self.sent.keys() - {origin(record, self.topics) for record in self.seen}
        try:
            written = {origin(record, self.topics) for record in self.read_uncommitted()}
        except TimeoutError as error:
            return f"missing {sorted(missing)[:10]}; {error}"
        by_partition = itertools.groupby(sorted(missing), key=lambda place: place.partition)
        offsets = {partition: [place.offset for place in places] for partition, places in by_partition}
        waiting = {partition: f"{len(found)} from {found[0]} to {found[-1]}" for partition, found in offsets.items()}
        return f"missing by input partition {waiting}, of which {len(missing & written)} are written uncommitted"

    def read(self) -> list[ReadRecord]:
        """Return what a read_committed reader sees that comes last."""
        return read_all(self._bootstrap_servers, self.topics.outputs)

    def read_uncommitted(self) -> list[ReadRecord]:
        """Return what lies in the topics, aborted transactions included."""
        return read_all(self._bootstrap_servers, self.topics.outputs, "read_uncommitted")

    def all_verdicts(self) -> list[tuple[Place, Verdict]]:
        """Return every verdict with the record it answers, repeats included, read last."""
        return [
            (origin(record, self.topics), decode_verdict(record.value or b""))
            for record in self.read()
            if record.topic == self.topics.verdicts
        ]

    def verdicts(self) -> dict[Place, Verdict]:
        """Return the verdict on each judged record, read last."""
        return dict(self.all_verdicts())

    def dead_letters(self) -> dict[Place, ReadRecord]:
        """Return the dead letter of each rejected record, read last."""
        return {
            origin(record, self.topics): record for record in self.read() if record.topic == self.topics.dead_letters
        }

    def assert_nothing_lost(self) -> None:
        """I1, first half: every input record has an outcome, and no outcome is of anything else."""
        found = {origin(record, self.topics) for record in self.read()}
        assert found == self.sent.keys(), f"lost {sorted(self.sent.keys() - found)[:10]}"

    def assert_exactly_once(self) -> None:
        """I1 to I4, for the concurrent reader and for one that comes last."""
        final = self.read()
        self._assert_each_once(final)
        self._assert_order(final)
        wait_until(
            lambda: self._reader.n_records >= len(final),
            timeout_s=10,
            what=lambda: f"the concurrent reader saw {self._reader.n_records} of {len(final)}",
        )
        concurrent = self.seen
        self._assert_each_once(concurrent)
        assert {record[:3] for record in concurrent} == {record[:3] for record in final}, "I4: readers disagree"

    def _assert_each_once(self, records: list[ReadRecord]) -> None:
        counts = Counter(origin(record, self.topics) for record in records)
        assert counts.keys() == self.sent.keys(), (
            f"I1: lost {sorted(self.sent.keys() - counts.keys())[:10]}, "
            f"unknown {sorted(counts.keys() - self.sent.keys())[:10]}"
        )
        twice = [place for place, count in counts.items() if count > 1]
        assert not twice, f"I2: {len(twice)} more than once: {sorted(twice)[:10]}"
        for record in records:
            sent = self.sent[origin(record, self.topics)]
            if record.topic == self.topics.verdicts:
                assert orjson.loads(record.value or b"")["chat_id"] == orjson.loads(sent.value or b"")["chat_id"]
            else:
                assert (record.key, record.value) == (sent.key, sent.value)

    def _assert_order(self, records: list[ReadRecord]) -> None:
        latest: dict[tuple[str, bytes | None], int] = {}
        for record in records:
            offset = origin(record, self.topics).offset
            assert offset > latest.get((record.topic, record.key), -1), f"I3: chat {record.key!r} at {offset}"
            latest[record.topic, record.key] = offset

    def close(self) -> None:
        """Stop the concurrent reader."""
        self._reader.close()
