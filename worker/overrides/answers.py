"""Which overrides get a verdict of their own, though their chats say nothing more.

The owner of the input partition of an override's `source` fetches that record, and the loop decides on it again. An
override stays due for a day, since nobody may own the partition when it comes, or the owner may die on the way. Within
the first minutes it is answered by every new owner: the same verdict may then come twice, under one verdict_id. Later
an owner first looks whether the cache shows the answer already.

Invariant: an override is due until its answer is committed here, or there is nothing to answer any more.
"""

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import structlog

from schemas import Override, Source, Verdict
from worker.cache.verdict_cache import VerdictCache
from worker.decode import Decoder
from worker.errors import Degraded
from worker.kafka.partition_range import Partition
from worker.kafka.record_fetch import RecordFetcher
from worker.overrides.applying import applies, is_in_force
from worker.process.metrics import Metrics
from worker.process.seldom import Seldom
from worker.record import Event, Record, Row

log = structlog.get_logger()

DUE_FOR: Final = timedelta(days=1)
"""Later an override only counts at the next event of its chat."""
REPEATED_FOR: Final = timedelta(minutes=10)
"""So long a predecessor may have put the answer into Redis and died before it was on the topic."""
RESULTS: Final = ("published", "no_record", "other_text", "not_judged", "expired", "there_already")
"""What becomes of a due override, as `moderation_override_verdicts_total` counts it; one that was taken back counts as
expired."""
_AT_ONCE: Final = 8
_MOST_READY: Final = 64
"""Events in memory; the next are fetched when these are decided on."""
_SAME_FAULT_EVERY_S: Final = 30.0

Clock = Callable[[], datetime]


class _Due(NamedTuple):
    """An override and the record that is to be decided on again."""

    override: Override
    source: Source

    @property
    def place(self) -> Partition:
        return self.source.topic, self.source.partition


class Answers:
    """Overrides that are due. The following thread offers and prepares, the loop takes.

    Args:
        fetcher: Fetches input records.
        decoder: This object's own.
        cache: Shows what was answered already.
        metrics: Where results are counted.
        clock: Now, UTC.
    """

    def __init__(
        self,
        fetcher: RecordFetcher,
        decoder: Decoder,
        cache: VerdictCache,
        metrics: Metrics,
        clock: Clock = lambda: datetime.now(UTC),
    ) -> None:
        self._fetcher = fetcher
        self._decoder = decoder
        self._cache = cache
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._due: dict[Partition, dict[tuple[bytes, int], _Due]] = {}
        self._ready: deque[tuple[_Due, Event]] = deque()
        self._in_hand: list[tuple[_Due, Event]] = []
        self._at_once = _AT_ONCE
        self._seldom = Seldom(_SAME_FAULT_EVERY_S)
        for result in RESULTS:
            # There before the first one, or an increase() would not see it.
            metrics.override_verdicts.labels(result=result)

    def offer(self, override: Override) -> None:
        """Take an override that was just read."""
        if self._clock() - override.decided_at < DUE_FOR:
            self._add(_Due(override, override.source))

    def _add(self, due: _Due) -> None:
        with self._lock:
            self._due.setdefault(due.place, {})[due.override.key, due.source.offset] = due

    def forget(self, chat_id: str) -> None:
        """Take that a chat is to be forgotten: an answer to what it said before would bring its id back."""
        with self._lock:
            for place, due in self._due.items():
                self._due[place] = {line: one for line, one in due.items() if one.override.chat_id != chat_id}
            self._ready = deque(one for one in self._ready if one[0].override.chat_id != chat_id)

    def n_due(self, owns: Callable[[Partition], bool]) -> int:
        """Return how many wait for an answer of this worker."""
        with self._lock:
            return sum(len(due) for place, due in self._due.items() if owns(place)) + len(self._ready)

    def prepare(self, owns: Callable[[Partition], bool]) -> None:
        """Fetch the events of overrides that are due in partitions of this worker, as many as there is room for."""
        self._forget_old(owns)
        with self._lock:
            waiting = [one for place, due in self._due.items() if owns(place) for one in due.values()]
            room = max(0, _MOST_READY - len(self._ready))
        for one in waiting[:room]:
            try:
                self._prepare(one)
            except Degraded as error:
                if self._seldom.due("fetch"):
                    log.warning("override_record_not_fetched", error=str(error), n_waiting=len(waiting))
                return

    def _forget_old(self, owns: Callable[[Partition], bool]) -> None:
        """Forget what other workers had to answer and could for a day; here nobody else takes it out."""
        now = self._clock()
        with self._lock:
            for place in [place for place in self._due if not owns(place)]:
                left = {line: one for line, one in self._due[place].items() if now - one.override.decided_at <= DUE_FOR}
                if left:
                    self._due[place] = left
                else:
                    del self._due[place]

    def _prepare(self, due: _Due) -> None:
        override, source, now = due.override, due.source, self._clock()
        age = now - override.decided_at
        if not is_in_force(override, now) or age > DUE_FOR:
            self._settle(due, "expired")
            return
        if age > REPEATED_FOR:
            cached = self._cache.get_many([override.chat_id]).get(override.chat_id)
            if cached is not None and _shows(cached, due):
                self._settle(due, "there_already")
                return
        event, fault = self._event(due)
        if event is None:
            self._settle(due, fault)
            log.warning(
                "override_not_answered",
                reason=fault,
                topic=source.topic,
                partition=source.partition,
                offset=source.offset,
                revision=override.revision,
                consequence="the override counts at the next event of the chat",
            )
            return
        with self._lock:
            self._remove(due)
            self._ready.append((due, event))

    def _event(self, due: _Due) -> tuple[Event | None, str]:
        """Return the event that is to be decided on again; where there is none, why.

        Raises:
            Degraded: the brokers do not answer now.
        """
        override, source = due.override, due.source
        found = self._fetcher.fetch((source.topic, source.partition, source.offset))
        if found is None:
            return None, "no_record"
        record = Record(*found.place, found.timestamp_ms, found.key, found.value)
        (row,) = self._decoder.decode([record])
        if row.event is None:
            return None, "not_judged"
        is_of_chat = row.event.chat.chat_id == override.chat_id
        if not is_of_chat or not applies(override, row.event.fingerprint, self._clock()):
            return None, "other_text"
        return row.event, ""

    def _settle(self, due: _Due, result: str) -> None:
        self._metrics.override_verdicts.labels(result=result).inc()
        with self._lock:
            self._remove(due)

    def _remove(self, due: _Due) -> None:
        waiting = self._due.get(due.place, {})
        line = (due.override.key, due.source.offset)
        # A newer override may stand in its place by now.
        if waiting.get(line) is due:
            del waiting[line]

    def take(self, owns: Callable[[Partition], bool]) -> list[Row]:
        """Return a few events that are due; see `worker.decide.Answers`."""
        # Those in hand may be in their commit. Should it be aborted, it is they that must come again.
        if self._in_hand or not self._ready:
            return []
        with self._lock:
            taken = [self._ready.popleft() for _ in range(min(self._at_once, len(self._ready)))]
        for due, _ in taken:
            if not owns(due.place):
                # It moved meanwhile; should it come back, the record is fetched again.
                self._add(due)
        self._in_hand = [one for one in taken if owns(one[0].place)]
        # Two overrides of one chat have one answer.
        events = {event.record.place: event for _, event in self._in_hand}
        return [Row(event.record, event) for event in events.values()]

    def compare(self, rows: Sequence[Row], cached: Mapping[str, Verdict]) -> None:  # noqa: ARG002  those in hand
        """Decide again, too, on a newer event of a chat that was judged before the override was known."""
        now = self._clock()
        for due, _ in self._in_hand:
            override, newest = due.override, cached.get(due.override.chat_id)
            if newest is None or (newest.source.topic, newest.source.partition) != due.place:
                continue
            is_later = newest.source.offset > due.source.offset and newest.override_revision < override.revision
            if is_later and applies(override, newest.content_fingerprint, now):
                self._add(_Due(override, newest.source))

    def answered(self, rows: Sequence[Row]) -> None:
        """Take that what was taken last is dealt with."""
        for row in rows:
            result = "published" if row.encoded is not None else "not_judged" if row.rejection else "expired"
            self._metrics.override_verdicts.labels(result=result).inc()
        self._in_hand, self._at_once = [], _AT_ONCE

    def rewound(self) -> None:
        """Take that what was taken last is not dealt with: it comes again, one by one, lest one of them was why."""
        with self._lock:
            self._ready.extendleft(reversed(self._in_hand))
        if self._in_hand:
            self._at_once = 1
        self._in_hand = []


def _shows(cached: Verdict, due: _Due) -> bool:
    """Say whether a cached verdict is the answer of an override, or on a newer record that was decided under it."""
    source = cached.source
    if (source.topic, source.partition) != due.place:
        return cached.override_revision >= due.override.revision
    return source.offset >= due.source.offset and cached.override_revision >= due.override.revision
