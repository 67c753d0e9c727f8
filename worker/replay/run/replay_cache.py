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


class ReplayCache:
    """A cache that takes no outcome of a record older than the TTL, or none at all.

    Args:
        inner: What is asked, and where the others go.
        ttl_s: How long a verdict stays, seconds; None: nothing is written.
        now_s: Wall clock; record timestamps are wall-clock times. A record without a timestamp counts as young.
    """

    def __init__(self, inner: VerdictCache, ttl_s: int | None, now_s: Callable[[], float] = time.time) -> None:
        self._inner = inner
        self._ttl_s = ttl_s
        self._now_s = now_s

    def get_many(self, chat_ids: Iterable[str]) -> dict[str, Verdict]:
        """Look up."""
        return self._inner.get_many(chat_ids)

    def close(self) -> None:
        """Release connections."""
        self._inner.close()

    def put_many(self, entries: Iterable[Entry]) -> list[Entry]:
        """Store what is young enough, if anything is to be; return what was not taken of it."""
        if self._ttl_s is None:
            return []
        oldest_ms = (self._now_s() - self._ttl_s) * 1_000
        return self._inner.put_many(entry for entry in entries if not 0 <= entry.source.timestamp_ms < oldest_ms)
