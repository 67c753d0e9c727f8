"""The verdict cache in Redis: optional, fast to give up, never going back.

Redis may be slow, full or gone: every fault is counted, opens a circuit breaker, and reads as "nothing cached". A
write is a compare-and-set on the event's version, so that a replay, a zombie or a redelivery cannot overwrite a newer
verdict. Not for Redis Cluster: one script call writes many keys.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
import pybreaker
import redis
import structlog
from pydantic import ValidationError

from schemas import Verdict
from worker.cache.decoded import DecodedVerdicts
from worker.cache.errors import remedy
from worker.errors import Degraded
from worker.metrics import Metrics
from worker.record import Record
from worker.redis_settings import RedisSettings

log = structlog.get_logger()

SCRIPT: Final = Path(__file__).with_name("compare_and_set.lua")
_KEYS_PER_CALL: Final = 100
"""Keys per script call or look-up: Redis serves nobody else meanwhile (about 1 ms)."""


def cache_key(chat_id: str) -> str:
    """Return the Redis key of a chat's verdict (contract)."""
    return f"verdict:{chat_id}"


class VerdictCache(Protocol):
    """What the loop needs of a cache; no method ever raises."""

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Return the cached verdicts of these chats; empty when the cache is away."""

    def put_many(self, verdicts: Iterable[tuple[Verdict, bytes]]) -> None:
        """Store verdicts, each with its encoded form, best effort; the cache ends at the newest."""

    def evict_many(self, tombstones: Iterable[Record]) -> None:
        """Remove the verdicts of the chats that these null-value records erase, best effort."""

    def close(self) -> None:
        """Release connections."""


class NoCache:
    """The cache of a worker that has no Redis."""

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:  # noqa: ARG002
        """Return nothing."""
        return {}

    def put_many(self, verdicts: Iterable[tuple[Verdict, bytes]]) -> None:
        """Do nothing."""

    def evict_many(self, tombstones: Iterable[Record]) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class _BreakerLog(pybreaker.CircuitBreakerListener):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def state_change(self, cb: pybreaker.CircuitBreaker, old_state: Any, new_state: Any) -> None:  # noqa: ARG002
        self._metrics.cache_up.set(0 if new_state.name == pybreaker.STATE_OPEN else 1)
        log.warning("cache_breaker_changed", state=new_state.name)


class RedisVerdictCache:
    """Verdicts in Redis, behind a circuit breaker.

    Args:
        client: Redis client with short timeouts, see `worker.redis_settings.connect`.
        settings: TTL and breaker settings.
        metrics: Where look-ups, writes and faults are counted.
    """

    def __init__(self, client: "redis.Redis", settings: RedisSettings, metrics: Metrics) -> None:
        self._client = client
        self._ttl_s = settings.ttl_s
        self._metrics = metrics
        self._script = client.register_script(SCRIPT.read_text())
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=settings.breaker_failures,
            reset_timeout=settings.breaker_open_s,
            listeners=[_BreakerLog(metrics)],
        )
        self._decoded = DecodedVerdicts(settings.n_decoded)
        metrics.cache_up.set(1)

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Return the cached verdicts; what is missing, unreadable or out of reach is left out."""
        found: dict[str, Verdict] = {}
        for chunk in _chunks(dict.fromkeys(chat_ids)):
            try:
                stored = self._guarded("get", self._client.mget, [cache_key(chat_id) for chat_id in chunk])
            except Degraded:
                break
            for chat_id, raw in zip(chunk, stored, strict=True):
                if raw is None:
                    continue
                try:
                    found[chat_id] = self._decoded.verdict(chat_id, raw)
                except ValidationError:
                    self._metrics.cache_faults.labels(op="get", kind="unreadable").inc()
        return found

    def put_many(self, verdicts: Iterable[tuple[Verdict, bytes]]) -> None:
        """Store the verdicts that are not older than what is there."""
        newest: dict[tuple[str, str, int], tuple[Verdict, bytes]] = {}
        for verdict, encoded in verdicts:
            # A replay may read one chat from several partitions, and dead letters in any order: only within a
            # partition is it known here which verdict is newer, the rest is left to the compare-and-set.
            line = (verdict.chat_id, verdict.source.topic, verdict.source.partition)
            if line not in newest or newest[line][0].source.offset <= verdict.source.offset:
                newest[line] = (verdict, encoded)
        self._compare_and_set(
            self._ttl_s, [(cache_key(verdict.chat_id), encoded) for verdict, encoded in newest.values()]
        )
        for verdict, encoded in newest.values():
            self._decoded.keep(encoded, verdict)

    def evict_many(self, tombstones: Iterable[Record]) -> None:
        """Remove verdicts that are not newer than the tombstones."""
        self._compare_and_set(
            0,
            [
                (cache_key(record.key.decode("utf-8", "replace")), _version_of(record))
                for record in tombstones
                if record.key
            ],
        )

    def _compare_and_set(self, ttl_s: int, writes: Iterable[tuple[str, bytes]]) -> None:
        for chunk in _chunks(writes):
            arguments = [ttl_s, *(value for _, value in chunk)]
            try:
                written = self._guarded("put", self._script, [key for key, _ in chunk], arguments)
            except Degraded:
                return
            n_written = sum(written)
            self._metrics.cache_writes.labels(result="written").inc(n_written)
            self._metrics.cache_writes.labels(result="stale").inc(len(written) - n_written)

    def _guarded(self, op: str, call: Any, *arguments: Any) -> Any:
        try:
            return self._breaker.call(call, *arguments)
        except pybreaker.CircuitBreakerError as error:
            self._metrics.cache_faults.labels(op=op, kind="breaker_open").inc()
            raise Degraded(f"cache {op}: breaker open") from error
        except redis.RedisError as error:
            kind = type(error).__name__
            self._metrics.cache_faults.labels(op=op, kind=kind).inc()
            refused = remedy(error)
            if refused is None:
                log.warning("cache_unavailable", op=op, error=kind)
            else:
                log.error("cache_refused", op=op, error=kind, remedy=refused)  # noqa: TRY400  (the remedy says it all)
            raise Degraded(f"cache {op}: {kind}") from error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _version_of(tombstone: Record) -> bytes:
    """Return what the script needs to know of a tombstone; no model's and no policy's version is older than it."""
    unnamed = {"name": "", "version": "0"}
    source = tombstone.source.model_dump()
    return orjson.dumps({"source": source, "model": unnamed, "policy": unnamed})


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, _KEYS_PER_CALL)):
        yield chunk
