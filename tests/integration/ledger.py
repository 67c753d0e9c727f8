"""The oracle of the tests: the harness' ledger with a sender and a reader that runs beside the test."""

import itertools
import time
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import orjson

from schemas import Verdict, decode_verdict
from testkit.errors import HarnessError
from testkit.ledger import Ledger, origin
from testkit.reader import BackgroundReader, read_all
from testkit.records import InputRecord, OutputRecord, Place
from testkit.sender import Sender
from testkit.topics import Topics
from testkit.waiting import wait_until

READER = {
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 200,
    "log_level": 0,
}
"""A broker that was killed and is back is read from at once."""


class LiveLedger(Ledger):
    """Sends input records, notes where they came to lie, and settles accounts.

    A read_committed reader runs beside the test from the first record on: what it ever saw counts.
    """

    def __init__(self, topics: Topics) -> None:
        super().__init__(topics)
        self._appended_s: dict[Place, float] = {}
        sending = {"linger.ms": 1, "message.max.bytes": 15_000_000, "log_level": 0}
        self._sender = Sender(topics.bootstrap_servers, topics.events, sending)
        self._reader = BackgroundReader(topics, self.take, properties=READER)

    def send_raw(self, records: Iterable[InputRecord], *, partition: int = -1) -> None:
        """Write records as they are and wait until the broker has them."""
        for record in records:
            self.handed_over(self.n_sent, time.perf_counter())
            self._sender.send(record, partition=partition, on_place=partial(self._appended, record))
        self._sender.flush(30)

    def _appended(self, record: InputRecord, place: Place) -> None:
        self._appended_s[place] = time.perf_counter()
        self.acknowledged(place, record)

    def send(self, events: Iterable[Mapping[str, Any]]) -> None:
        """Write chat events, keyed by chat as upstream does."""
        self.send_raw(InputRecord(str(event["chat_id"]).encode(), orjson.dumps(event)) for event in events)

    def longest_pause_s(self, places: Iterable[Place]) -> float:
        """Return the longest time from append to the moment at which a reader saw the outcome, of these records."""
        seen_at_s = {origin(record, self.topics): self.seen_at_s[Place(*record[:3])] for record in self.seen}
        return max((seen_at_s[place] - self._appended_s[place] for place in places), default=0.0)

    def wait_complete(self, *, timeout_s: float = 120.0) -> None:
        """Wait until every input record has an outcome."""
        self.wait_seen(len(self.sent), timeout_s=timeout_s)

    def wait_seen(self, n_records: int, *, timeout_s: float = 60.0) -> None:
        """Wait until so many input records have an outcome."""
        wait_until(
            lambda: (
                self.n_seen >= n_records and len({origin(record, self.topics) for record in self.seen}) >= n_records
            ),
            timeout_s=timeout_s,
            what=lambda: f"{self.n_seen} outcomes of {n_records}; {self._describe_missing()}",
        )

    def _describe_missing(self) -> str:
        """Say what waits on which input partition, and whether it is unread or in a transaction that has not ended."""
        missing = self.sent.keys() - {origin(record, self.topics) for record in self.seen}
        try:
            written = {origin(record, self.topics) for record in self.read_uncommitted()}
        except HarnessError as error:
            return f"missing {sorted(missing)[:10]}; {error}"
        by_partition = itertools.groupby(sorted(missing), key=lambda place: place.partition)
        offsets = {partition: [place.offset for place in places] for partition, places in by_partition}
        waiting = {partition: f"{len(found)} from {found[0]} to {found[-1]}" for partition, found in offsets.items()}
        return f"missing by input partition {waiting}, of which {len(missing & written)} are written uncommitted"

    def read(self) -> list[OutputRecord]:
        """Return what a read_committed reader sees that comes last."""
        return read_all(self.topics.bootstrap_servers, self.topics.outputs, properties=READER)

    def read_uncommitted(self) -> list[OutputRecord]:
        """Return what lies in the topics, aborted transactions included."""
        return read_all(self.topics.bootstrap_servers, self.topics.outputs, "read_uncommitted", properties=READER)

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

    def dead_letters(self) -> dict[Place, OutputRecord]:
        """Return the dead letter of each rejected record, read last."""
        return {
            origin(record, self.topics): record for record in self.read() if record.topic == self.topics.dead_letters
        }

    def assert_nothing_lost(self) -> None:
        """I1, first half: every input record has an outcome, and no outcome is of anything else."""
        found = {origin(record, self.topics) for record in self.read()}
        assert found == self.sent.keys(), f"lost {sorted(self.sent.keys() - found)[:10]}"

    def assert_exactly_once(self, final: Iterable[OutputRecord] | None = None) -> None:
        """I1 to I4, for the concurrent reader and for one that comes last, by default one that reads now."""
        last = self.read() if final is None else list(final)
        wait_until(
            lambda: self.n_seen >= len(last),
            timeout_s=10,
            what=lambda: f"the concurrent reader saw {self.n_seen} of {len(last)}",
        )
        super().assert_exactly_once(last)

    def close(self) -> None:
        """Stop the concurrent reader."""
        self._reader.close()
