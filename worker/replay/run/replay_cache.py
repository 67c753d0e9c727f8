"""What a replay writes into Redis: nothing, or what became of records that are not older than the TTL.

The outcome of a newer record of the chat may have left Redis with its TTL, and then nothing stands there to win over an
older one. A record older than the TTL has no business in the cache anyway: written when it was read first, its verdict
would be gone.
"""

import time
from collections.abc import Callable, Iterable

from schemas import Verdict
from worker.cache.entries import Entry
from worker.cache.verdict_cache import VerdictCache


class ReadOnlyCache:
    """A cache that is asked and never written."""

    def __init__(self, inner: VerdictCache) -> None:
        self._inner = inner

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Look up."""
        return self._inner.get_many(chat_ids)

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:  # noqa: ARG002
        """Do nothing; nothing is left to be stored."""
        return []

    def close(self) -> None:
        """Release connections."""
        self._inner.close()


class YoungRecordsCache:
    """A cache that takes no outcome of a record older than the TTL.

    Args:
        inner: Where the others go.
        ttl_s: How long a verdict stays, seconds.
        now_s: Wall clock; record timestamps are wall-clock times. A record without a timestamp counts as young.
    """

    def __init__(self, inner: VerdictCache, ttl_s: int, now_s: Callable[[], float] = time.time) -> None:
        self._inner = inner
        self._ttl_s = ttl_s
        self._now_s = now_s

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Look up."""
        return self._inner.get_many(chat_ids)

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Store what is young enough; return what was not taken of it."""
        oldest_ms = (self._now_s() - self._ttl_s) * 1_000
        return self._inner.put_many(entry for entry in entries if not 0 <= entry.source.timestamp_ms < oldest_ms)

    def close(self) -> None:
        """Release connections."""
        self._inner.close()
