"""A cache whose writes are never given up: what Redis does not take is owed, and paid by a thread beside the loop.

Invariants: what Redis has not acknowledged is owed from before the commit that it belongs to; a debt ends only with an
acknowledgement. Order is the script's business: it drops what is older than what is there, so that paying late, twice
or in any order does no harm.

What the old master of a failover acknowledged may be lost with it. So after a reconnect or a refused write the entries
acknowledged last before it are looked up: replication keeps their order, so that where these are there, all before them
are. Where one is missing, all of the last `resend_s` seconds before it are owed again.
"""

import threading
import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from typing import Final

import structlog

from schemas import Source, Verdict
from worker.cache.entries import Entry, newest_entries
from worker.cache.owed_entries import OwedRange, Partition, partition_of
from worker.cache.owed_writes import OwedWrites
from worker.cache.recent_writes import RecentWrites
from worker.cache.verdict_cache import RedisVerdictCache
from worker.errors import Degraded, Fatal
from worker.process.metrics import Metrics
from worker.settings.redis import RedisSettings

log = structlog.get_logger()

Mend = Callable[[OwedRange], Generator[Sequence[Entry], None, None]]
"""Reads the records of an owed range again and yields, in steps, a marker for each; raises Fatal where it cannot."""

_PAID_AT_ONCE: Final = 100
_RETRY_S: Final = 0.5
"""How often Redis is tried while entries are owed; the breaker makes most of these tries cost nothing."""
_PROBE_S: Final = 1.0
"""How often an idle worker writes its newest entry again, and so learns that Redis was replaced."""
_MEND_RETRY_S: Final = 5.0
_N_WITNESSES: Final = 20
"""Newest entries that are looked up after a reconnect: the two threads that write are never further apart."""
_MAX_DOUBTS: Final = 10
"""After so many reconnects in which nothing could be looked up, everything counts as lost."""
_LAST_TRY_S: Final = 2.0
"""How long the end of the process may be held up by owed writes; the offset notes name what is left."""


class OwingCache:
    """Writes now or later.

    Args:
        inner: The cache in Redis.
        settings: Bounds.
        metrics: Where debts are counted.
        mend: Reads owed ranges again; None where nobody can, so that they stay owed.
    """

    def __init__(
        self, inner: RedisVerdictCache, settings: RedisSettings, metrics: Metrics, mend: Mend | None = None
    ) -> None:
        self._inner = inner
        self._metrics = metrics
        self._mend = mend
        self._lock = threading.Lock()
        self._owed = OwedWrites(max_bytes=settings.owed_max_bytes, max_chats=settings.owed_max_chats)
        self._recent = RecentWrites(keep_s=settings.resend_s, max_bytes=settings.resend_max_bytes)
        self._mending: tuple[OwedRange, Generator[Sequence[Entry], None, None]] | None = None
        self._markers: list[Entry] = []
        self._witnesses: list[list[Entry]] = []
        self._doubtful = threading.Event()
        self._resolving = False
        self._wake = threading.Event()
        self._closing = False
        self._sent_s = time.monotonic()
        for left in ("marker", "offset"):
            # There before the first one, or an increase() would not see it.
            metrics.cache_owed_dropped.labels(left=left)
        metrics.cache_owed_oldest_s.set_function(self._oldest_s)
        metrics.cache_owed_writes.set_function(lambda: len(self._owed))
        inner.on_reconnect(self._doubt)
        self._thread = threading.Thread(target=self._run, name="cache-owed", daemon=True)
        self._thread.start()

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Return the cached verdicts of these chats; empty when the cache is away."""
        return self._inner.get_many(chat_ids)

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Write now, or owe what Redis does not take; nothing is left to the caller."""
        # What is never written must neither take a verdict's place nor pay its debt.
        newest = newest_entries(filter(self._inner.is_wanted, entries))
        if left := self._put(newest):
            with self._lock:
                n_markers, n_forgotten = self._owed.n_markers_made, self._owed.n_forgotten
                self._owed.add(left, time.monotonic())
                n_markers, n_forgotten = self._owed.n_markers_made - n_markers, self._owed.n_forgotten - n_forgotten
            # Once each, however often they are tried again.
            self._metrics.cache_writes.labels(result="refused").inc(len(left))
            self._metrics.cache_owed_dropped.labels(left="marker").inc(n_markers)
            self._metrics.cache_owed_dropped.labels(left="offset").inc(n_forgotten)
            self._wake.set()
        return []

    def owe_range(self, owed: OwedRange) -> None:
        """Take over a debt that somebody else left behind."""
        with self._lock:
            self._owed.add_range(owed, time.monotonic())
        self._wake.set()

    def owed_from(self) -> Mapping[Partition, int]:
        """Return, per input partition, the lowest offset whose entry is owed or in doubt."""
        # In this order: what is in doubt becomes owed before the doubt ends. The usual case takes no lock.
        in_doubt = self._doubtful.is_set() or self._resolving
        if not self._owed and not in_doubt:
            return {}
        with self._lock:
            lowest = dict(self._owed.lowest_offsets())
            if in_doubt:
                for place, offset in self._recent.lowest_offsets().items():
                    lowest[place] = min(offset, lowest.get(place, offset))
        return lowest

    def close(self) -> None:
        """Try once more, for a short while, and stop."""
        self._closing = True
        self._wake.set()
        self._thread.join(_LAST_TRY_S)
        deadline = time.monotonic() + _LAST_TRY_S
        while len(self._owed) and not self._thread.is_alive() and time.monotonic() < deadline and self._pay_head():
            pass
        if self._owed:
            log.warning("cache_writes_left_owed", n_writes=len(self._owed))
        self._inner.close()

    def _doubt(self) -> None:
        """Take that Redis may have lost what it acknowledged until now. May be called in any thread."""
        with self._lock:
            newest = self._recent.newest(_N_WITNESSES)
            # One time after the other: what is written after a loss is there, whatever was lost.
            is_new = newest and (not self._witnesses or newest[0] is not self._witnesses[-1][0])
            if is_new and len(self._witnesses) <= _MAX_DOUBTS:
                self._witnesses.append(newest)
            self._doubtful.set()
            self._recent.ages = False
        self._wake.set()

    def _put(self, entries: Sequence[Entry]) -> list[Entry]:
        """Write; return what Redis did not take."""
        left = self._inner.put_many(entries)
        refused = set(map(id, left))
        taken = [entry for entry in entries if id(entry) not in refused] if left else entries
        with self._lock:
            self._sent_s = time.monotonic()
            # Before they are pruned: a failover may take longer than they are kept.
            self._recent.ages = self._recent.ages and not left
            self._recent.keep(taken, self._sent_s)
            if self._owed:
                self._owed.settle(taken)
        if left:
            self._doubt()
        return left

    def _run(self) -> None:
        while not self._closing:
            try:
                pause_s = self._turn()
            except Fatal as error:
                log.warning("owed_range_unread", error=str(error))
                self._drop_mending()
                pause_s = _MEND_RETRY_S
            except Exception:
                # Without this thread no debt would ever be paid, and nothing else would show it.
                log.exception("owed_writes_failed")
                self._drop_mending()
                pause_s = _MEND_RETRY_S
            self._wake.wait(pause_s)
            self._wake.clear()
        self._drop_mending()

    def _turn(self) -> float:
        """Do one thing that is due; return how long the next may wait, seconds.

        Raises:
            Fatal: an owed range could not be read.
        """
        if len(self._owed):
            return 0.0 if self._pay_head() else _RETRY_S
        # Behind the debts: a replica that answers and refuses is asked again when it takes writes.
        if self._doubtful.is_set():
            return 0.0 if self._resolve_doubt() else _RETRY_S
        with self._lock:
            # Not by `bool`: the commit thread may have owed an entry since the first look.
            owes_ranges = bool(self._owed.ranges())
        if self._mend is not None and owes_ranges:
            return 0.0 if self._mend_step(self._mend) else _RETRY_S
        self._inner.look_again()
        self._probe()
        return _PROBE_S

    def _pay_head(self) -> bool:
        with self._lock:
            head = self._owed.head(_PAID_AT_ONCE)
        return not self._put(head)

    def _resolve_doubt(self) -> bool:
        """Owe the entries of the last while again, unless Redis still holds the newest; say whether it answered."""
        with self._lock:
            self._resolving = True
            self._doubtful.clear()
            # Taken out: a loss from here on is a doubt of its own, though the newest entry be the same.
            witnesses, self._witnesses = self._witnesses, []
        try:
            if len(witnesses) > _MAX_DOUBTS or not all(map(self._are_there, witnesses)):
                self._owe_recent()
        except Degraded:
            with self._lock:
                self._witnesses = (witnesses + self._witnesses)[: _MAX_DOUBTS + 1]
                self._doubtful.set()
            return False
        finally:
            with self._lock:
                self._recent.ages = not self._doubtful.is_set()
                self._resolving = False
        return True

    def _are_there(self, entries: Sequence[Entry]) -> bool:
        sources = self._inner.sources([entry.chat_id for entry in entries])
        return all(_holds(found, entry) for found, entry in zip(sources, entries, strict=True))

    def _owe_recent(self) -> None:
        with self._lock:
            now_s = time.monotonic()
            entries, ranges = self._recent.take(now_s)
            self._owed.add(entries, now_s)
            for one in ranges:
                self._owed.add_range(one, now_s)
        log.warning("cache_writes_sent_again", n_writes=len(entries), n_ranges=len(ranges))

    def _mend_step(self, mend: Mend) -> bool:
        """Write the next markers of an owed range; say whether Redis took them."""
        if self._mending is None:
            with self._lock:
                owed = self._owed.ranges()[0]
            self._mending = (owed, mend(owed))
            log.info("owed_range_begun", **owed._asdict())
        owed, steps = self._mending
        if not self._markers:
            markers = next(steps, None)
            if markers is None:
                self._mending = None
                with self._lock:
                    self._owed.settle_range(owed)
                log.info("owed_range_done", **owed._asdict())
                return True
            self._markers = list(markers)
        self._markers = self._put(self._markers)
        return not self._markers

    def _drop_mending(self) -> None:
        if self._mending is not None:
            self._mending[1].close()
            self._mending, self._markers = None, []

    def _probe(self) -> None:
        """Write the newest entry again where nothing was written for a while: a replaced Redis shows by it."""
        with self._lock:
            now_s = time.monotonic()
            self._recent.prune(now_s)
            newest = self._recent.newest(1)
            is_idle = now_s - self._sent_s >= _PROBE_S
        if newest and is_idle and self._inner.put_many(newest):
            self._doubt()

    def _oldest_s(self) -> float:
        with self._lock:
            since_s = self._owed.oldest_since_s()
        return 0.0 if since_s is None else time.monotonic() - since_s


def _holds(found: Source | None, entry: Entry) -> bool:
    """Say whether a key that answers this record holds the entry, or one that is as new."""
    if found is None:
        return False
    if (found.topic, found.partition) == partition_of(entry):
        return found.offset >= entry.source.offset
    return found.timestamp_ms >= entry.source.timestamp_ms
