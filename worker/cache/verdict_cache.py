"""The verdict cache in Redis: optional, fast to give up, never going back.

Redis may be slow, full or gone: every fault is counted, opens a circuit breaker, and reads as "nothing cached"; what it
does not take is handed back (`worker.cache.owing_cache` owes it). A write is a compare-and-set on the event's version,
so that a replay, a zombie or a redelivery cannot overwrite a newer verdict, nor the marker of a newer rejection. Not
for Redis Cluster: one script call writes many keys.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import redis
import structlog

from schemas import Source, Verdict
from schemas.marker import OWED, TOMBSTONE
from worker.cache.decoded import DecodedVerdicts
from worker.cache.entries import Entry, newest_entries
from worker.cache.forged import HighWatermark, Stale, Suspects, forged_values
from worker.cache.guard import CacheHealth, Guard
from worker.cache.reconnects import watch_reconnects
from worker.cache.values import MAX_STORED_BYTES, CacheValues, ValueRefused
from worker.errors import Degraded
from worker.process.metrics import Metrics
from worker.settings.redis import OnRejected, RedisSettings

log = structlog.get_logger()

_HERE: Final = Path(__file__).parent
SCRIPT: Final = _HERE / "compare_and_set.lua"
READ_SCRIPT: Final = _HERE / "read_capped.lua"
DELETE_SCRIPT: Final = _HERE / "delete_exact.lua"
_KEYS_PER_CALL: Final = 100
"""Keys per script call or look-up: Redis serves nobody else meanwhile (about 1 ms)."""


class VerdictCache(Protocol):
    """What the loop needs of a cache; no method ever raises."""

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Return the cached verdicts of these chats; empty when the cache is away."""

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Store what became of records, best effort; the cache ends at the newest. Return what was not taken."""

    def close(self) -> None:
        """Release connections."""


class NoCache:
    """The cache of a worker that has no Redis."""

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:  # noqa: ARG002
        """Do nothing; nothing is left to be stored."""
        return []

    def close(self) -> None:
        """Do nothing."""


class RedisVerdictCache:
    """Verdicts in Redis, behind circuit breakers.

    Args:
        client: Redis client with short timeouts, see `worker.cache.connection.connect`.
        settings: TTL, breaker, key and signature settings.
        metrics: Where look-ups, writes and faults are counted.
        high_watermark: Tells where a partition ends, so that forged values are found that stand in the way of a write;
            None leaves them to others.
    """

    def __init__(
        self,
        client: "redis.Redis",
        settings: RedisSettings,
        metrics: Metrics,
        high_watermark: HighWatermark | None = None,
    ) -> None:
        self._client = client
        self._ttl_s = settings.ttl_s
        self._marks_rejections = settings.on_rejected is OnRejected.EVICT
        self._metrics = metrics
        self._values = CacheValues(settings.key_prefix, settings.signing_keys)
        self._high_watermark = high_watermark
        self._suspects = Suspects()
        self._read, self._write, self._delete = (
            client.register_script(script.read_text()) for script in (READ_SCRIPT, SCRIPT, DELETE_SCRIPT)
        )
        health = CacheHealth(metrics)
        self._reads = Guard("get", settings, metrics, health)
        self._writes = Guard("put", settings, metrics, health)
        self._decoded = DecodedVerdicts(settings.n_decoded)

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Return the cached verdicts; what is missing, refused, rejected or out of reach is left out."""
        found: dict[str, Verdict] = {}
        for chunk in _chunks(dict.fromkeys(chat_ids)):
            keys = [self._values.key(chat_id) for chat_id in chunk]
            try:
                stored = self._reads.call(self._read_values, keys)
            except Degraded:
                break
            for chat_id, raw in zip(chunk, stored, strict=True):
                if raw is not None and (verdict := self._verdict(chat_id, raw)) is not None:
                    found[chat_id] = verdict
        return found

    def _read_values(self, keys: Sequence[str]) -> list[object]:
        stored: list[object] = self._read(keys, [MAX_STORED_BYTES])
        # The script hands an error on as a value, lest a key of another type costs its neighbours theirs. A right that
        # is missing is an error of all keys.
        if stored and isinstance(stored[0], redis.RedisError) and not str(stored[0]).startswith("WRONGTYPE"):
            raise stored[0]
        return stored

    def _verdict(self, chat_id: str, raw: object) -> Verdict | None:
        """Return the verdict that a stored value holds; None where it is a marker or is not believed."""
        if (own := self._decoded.own(chat_id, raw)) is not None:
            return own
        try:
            found = self._values.read(chat_id, raw)
        except ValueRefused as refusal:
            self._metrics.cache_refused.labels(reason=refusal.reason).inc()
            return None
        return found if isinstance(found, Verdict) else None

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Store the entries that are not older than what is there; return those that Redis did not take."""
        newest = newest_entries(entry for entry in entries if self.is_wanted(entry))
        for start in range(0, len(newest), _KEYS_PER_CALL):
            chunk = newest[start : start + _KEYS_PER_CALL]
            try:
                self._compare_and_set(chunk)
            except Degraded:
                return newest[start:]
        return []

    def look_again(self) -> None:
        """Settle what seemed forged a while ago; raises nothing where Redis or the brokers are away."""
        if due := self._suspects.due():
            with suppress(Degraded):
                self._compare_and_set(due)

    def is_wanted(self, entry: Entry) -> bool:
        """Say whether `put_many` would write this entry at all, or the settings leave it out."""
        # Neither is a rejection: a tombstone wants the verdict gone, and what was owed has another outcome.
        return entry.rejected in {None, TOMBSTONE, OWED} or self._marks_rejections

    def _compare_and_set(self, entries: Sequence[Entry]) -> None:
        stale = self._write_newer(entries)
        if self._high_watermark is None:
            return
        found = forged_values(stale, self._high_watermark)
        if forged := found.certain + self._suspects.settled(entries, found.by_end):
            self._metrics.cache_refused.labels(reason="no_such_record").inc(len(forged))
            log.warning("cache_values_forged", n_values=len(forged))
            keys = [self._values.key(one.entry.chat_id) for one in forged]
            self._writes.call(self._delete, keys, [one.stored for one in forged])
            self._write_newer([one.entry for one in forged])

    def _write_newer(self, entries: Sequence[Entry]) -> list[Stale]:
        """Write what is not older than what is there; return the rest."""
        stored = [self._values.stored(entry.chat_id, entry.value) for entry in entries]
        arguments: list[int | bytes] = [MAX_STORED_BYTES]
        for entry, value in zip(entries, stored, strict=True):
            arguments += (self._ttl_s if entry.ttl_s is None else entry.ttl_s, value)
        answers = self._writes.call(self._write, [self._values.key(entry.chat_id) for entry in entries], arguments)
        for entry, value in zip(entries, stored, strict=True):
            if entry.verdict is not None:
                self._decoded.keep(value, entry.verdict)
        stale = [
            Stale(entry, newer, *(part.decode("utf-8", "replace") for part in source))
            for entry, (newer, *source) in (pair for pair in zip(entries, answers, strict=True) if pair[1] != 1)
        ]
        self._metrics.cache_writes.labels(result="written").inc(len(entries) - len(stale))
        self._metrics.cache_writes.labels(result="stale").inc(len(stale))
        return stale

    def sources(self, chat_ids: Sequence[str]) -> list[Source | None]:
        """Return which record the values of these chats answer, None where there is none or it is not believed.

        Raises:
            Degraded: Redis does not answer.
        """
        keys = [self._values.key(chat_id) for chat_id in chat_ids]
        stored = self._reads.call(self._read_values, keys)
        return [self._source(chat_id, raw) for chat_id, raw in zip(chat_ids, stored, strict=True)]

    def _source(self, chat_id: str, raw: object) -> Source | None:
        try:
            return None if raw is None else self._values.read(chat_id, raw).source
        except ValueRefused:
            return None

    def on_reconnect(self, reconnected: Callable[[], None]) -> None:
        """Call this whenever a connection is made again; to be set before the first use."""
        watch_reconnects(self._client, reconnected)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _KEYS_PER_CALL)):
        yield chunk
