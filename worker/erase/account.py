"""What an erasure found, did and leaves to time. It names no chat, so that it may be kept as a proof."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from worker.erase.search import Found
from worker.erase.stores import Holds, Store
from worker.kafka.topic_cleanup import Cleanup


@dataclass
class StoreAccount:
    """One topic."""

    store: Store
    cleanup: Cleanup | None = None
    """How records leave it; None where this user may not ask."""
    found: Found | None = None
    """None where it was not read."""
    n_written: int = 0
    """Tombstones."""
    missing: str | None = None
    """Why nothing is known of it; None: it is there."""

    def left_by(self, now_ms: int) -> int | None:
        """Return by when the chats have left, ms since the epoch; None where nothing says so."""
        gone_after_ms = None if self.cleanup is None else self.cleanup.gone_after_ms
        return None if gone_after_ms is None else now_ms + gone_after_ms


@dataclass
class CacheAccount:
    """The keys in Redis."""

    n_found: int = 0
    """Keys that held a verdict or a marker."""
    n_marked: int = 0
    """Keys that a marker was put into, with the TTL."""
    problem: str | None = None
    """Why Redis took no markers; the workers write them when they read the tombstones."""


@dataclass
class Account:
    """One run."""

    n_chats: int
    is_dry_run: bool
    began_ms: int
    """When it began, ms since the epoch."""
    stores: list[StoreAccount] = field(default_factory=list)
    cache: CacheAccount | None = None
    """None where there is no Redis."""
    ttl_s: int = 0
    """How long a marker stays in Redis."""
    n_listed: int | None = None
    """Records that this run put on the list of erased chats; None where no topic is set for it."""
    is_complete: bool = True
    """Whether every topic was read that was to be read."""

    def line(self) -> dict[str, Any]:
        """Return the account as one JSON line."""
        return {
            "event": "erase_ended",
            "dry_run": self.is_dry_run,
            "complete": self.is_complete,
            "began_at": _iso(self.began_ms),
            "n_chats": self.n_chats,
            "stores": [self._store_line(one) for one in self.stores],
            "redis": None if self.cache is None else self._cache_line(self.cache),
            "n_listed": self.n_listed,
        }

    def _store_line(self, one: StoreAccount) -> dict[str, Any]:
        found, cleanup, left_by = one.found, one.cleanup, one.left_by(self.began_ms)
        return {
            "topic": one.store.topic,
            "setting": one.store.setting,
            "holds": one.store.holds.value,
            "missing": one.missing,
            "n_found": None if found is None else found.n_records,
            "n_read": None if found is None else found.n_read,
            "newest_at": None if found is None or found.newest_ms is None else _iso(found.newest_ms),
            "cleanup": None if cleanup is None else sorted(cleanup.policies),
            "n_tombstones_written": one.n_written,
            "left_by": None if left_by is None else _iso(left_by),
        }

    def _cache_line(self, cache: CacheAccount) -> dict[str, Any]:
        return {
            "n_found": cache.n_found,
            "n_marked": cache.n_marked,
            "left_by": _iso(self.began_ms + 1_000 * self.ttl_s),
            "problem": cache.problem,
        }


def print_account(account: Account, console: Console) -> None:
    """Print the account as a table, with what a person should know of it."""
    table = Table(box=None, pad_edge=False)
    for name in ("where", "holds", "found", "tombstones", "by what", "left by"):
        table.add_column(name, overflow="fold")
    for one in account.stores:
        table.add_row(*_cells(one, account.began_ms))
    if (cache := account.cache) is not None:
        table.add_row(
            "Redis",
            "id",
            str(cache.n_found),
            str(cache.n_marked),
            "marker, then TTL",
            _day(account.began_ms + 1_000 * account.ttl_s),
        )
    console.print(table)
    for note in _notes(account):
        console.print(f"note: {note}", markup=False, highlight=False, soft_wrap=True)


def _cells(one: StoreAccount, now_ms: int) -> Iterator[str]:
    yield one.store.topic
    yield one.store.holds.value
    if one.missing is not None:
        yield from ("-", "-", one.missing, "-")
        return
    yield "not read" if one.found is None else str(one.found.n_records)
    yield str(one.n_written)
    yield "not known" if one.cleanup is None else " and ".join(sorted(one.cleanup.policies))
    left_by = one.left_by(now_ms)
    yield "not known" if left_by is None else _day(left_by)


def _notes(account: Account) -> Iterator[str]:
    kept = [
        one.store.topic
        for one in account.stores
        if one.store.holds is Holds.TEXT and one.cleanup is not None and not one.cleanup.is_compacted
    ]
    if kept:
        yield (
            f"{', '.join(kept)}: text, deleted by age alone: no tombstone takes out what lies there; it is gone by the "
            "time above, sooner where retention.ms and segment.ms are lowered"
        )
    unbounded = [
        one.store.topic for one in account.stores if one.cleanup is not None and one.cleanup.gone_after_ms is None
    ]
    if unbounded:
        yield (
            f"{', '.join(unbounded)}: nothing says by when; set retention.ms, or max.compaction.lag.ms where it is "
            "compacted (deploy/kafka/topics.yaml)"
        )
    if account.n_listed is None:
        yield "no list of erased chats: kafka.erasures_topic is not set, and later feedback runs do not know of them"
    if account.cache is not None and account.cache.problem is not None:
        yield f"Redis: {account.cache.problem}; the workers put the markers in when they read the tombstones"


def _iso(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1_000, UTC).isoformat(timespec="seconds")


def _day(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1_000, UTC).strftime("%Y-%m-%d %H:%M UTC")
