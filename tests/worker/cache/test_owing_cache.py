"""The cache that owes: what Redis refuses or loses is written later, from a thread of its own."""

import threading

import pytest

from tests.worker.cache.owing import Input, Redis, entry, eventually
from worker.cache.owed_entries import OwedRange
from worker.cache.owing_cache import OwingCache
from worker.errors import Fatal
from worker.process.metrics import Metrics
from worker.settings.redis import RedisSettings


def test_what_is_refused_is_owed_at_once_and_written_later(cache: OwingCache, server: Redis, metrics: Metrics) -> None:
    """The commit that follows must already know of it."""
    server.refuses = True
    assert cache.put_many([entry(7), entry(9, chat=7), entry(8)]) == []
    assert cache.owed_from() == {("chat-events", 0): 8}
    assert metrics.registry.get_sample_value("moderation_cache_owed_writes") == 2
    server.refuses = False
    eventually(lambda: not cache.owed_from())
    assert {key: one.source.offset for key, one in server.keys.items()} == {"chat-7": 9, "chat-8": 8}
    assert metrics.registry.get_sample_value("moderation_cache_owed_oldest_seconds") == 0


def test_a_newer_write_pays_the_older_debt(cache: OwingCache, server: Redis) -> None:
    """Else the thread would write what nobody needs."""
    server.refuses = True
    cache.put_many([entry(7, chat=1)])
    server.refuses = False
    cache.put_many([entry(9, chat=1)])
    eventually(lambda: not cache.owed_from())
    assert server.keys["chat-1"].source.offset == 9


def test_what_does_not_fit_is_read_again_and_marked(
    cache: OwingCache, server: Redis, records: Input, metrics: Metrics
) -> None:
    """Bounded memory, and still no chat that keeps an older verdict."""
    server.refuses = True
    cache.put_many([entry(offset) for offset in range(10, 20)])
    assert cache.owed_from() == {("chat-events", 0): 10}
    dropped = metrics.registry.get_sample_value("moderation_cache_owed_dropped_total", {"left": "offset"})
    assert dropped == 7
    server.refuses = False
    eventually(lambda: not cache.owed_from())
    assert records.read == [OwedRange("chat-events", 0, 13, 20)]
    assert [server.keys[f"chat-{offset}"].rejected for offset in range(10, 20)] == [None] * 3 + ["owed"] * 7


def test_an_inherited_debt_is_paid_though_redis_and_kafka_fail_first(
    cache: OwingCache, server: Redis, records: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note stays until it is, and an idle worker pays too."""
    monkeypatch.setattr("worker.cache.owing_cache._MEND_RETRY_S", 0.01)
    records.failures.append(Fatal("the brokers stay silent"))
    server.refuses = True
    cache.owe_range(OwedRange("chat-events", 0, 3, 6))
    assert cache.owed_from() == {("chat-events", 0): 3}
    eventually(lambda: server.n_puts >= 2)
    assert cache.owed_from() == {("chat-events", 0): 3}
    server.refuses = False
    eventually(lambda: not cache.owed_from())
    assert sorted(server.keys) == ["chat-3", "chat-4", "chat-5"]


def test_after_a_reconnect_to_a_redis_that_lost_writes_they_are_made_again(cache: OwingCache, server: Redis) -> None:
    """Though a write after the loss went well: what it left there proves nothing of what was before."""
    cache.put_many([entry(1), entry(2)])
    server.keys.clear()
    server.reconnected()
    cache.put_many([entry(3)])
    eventually(lambda: len(server.keys) == 3)
    eventually(lambda: not cache.owed_from())


def test_after_a_reconnect_to_a_redis_that_lost_nothing_nothing_is_written(
    cache: OwingCache, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow Redis times out often; a minute of writes for each time would finish it."""
    monkeypatch.setattr("worker.cache.owing_cache._PROBE_S", 1_000.0)
    cache.put_many([entry(1), entry(2)])
    n_puts = server.n_puts
    server.reconnected()
    eventually(lambda: not cache.owed_from())
    assert server.n_puts == n_puts


def test_while_it_is_open_what_was_lost_the_recent_writes_count_as_owed(cache: OwingCache, server: Redis) -> None:
    """A worker that is killed in that moment must have named them."""
    cache.put_many([entry(4), entry(5)])
    server.refuses = True
    server.reconnected()
    assert cache.owed_from() == {("chat-events", 0): 4}
    server.refuses = False
    eventually(lambda: not cache.owed_from())


def test_an_idle_worker_learns_that_redis_was_replaced(
    cache: OwingCache, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No event comes for the chats; their `allow` in an older copy would stay."""
    monkeypatch.setattr("worker.cache.owing_cache._PROBE_S", 0.01)
    cache.put_many([entry(1), entry(2)])
    server.keys.clear()
    server.refuses = True
    n_puts = server.n_puts
    eventually(lambda: server.n_puts > n_puts)
    server.refuses = False
    eventually(lambda: len(server.keys) == 2)


def test_the_end_of_the_process_tries_once_more(server: Redis, metrics: Metrics) -> None:
    """A rolling restart beside a short pause of Redis should leave its successor nothing to read again."""
    cache = OwingCache(server, RedisSettings(), metrics)  # type: ignore[arg-type]
    server.refuses = True
    cache.put_many([entry(offset) for offset in range(250)])
    server.refuses = False
    cache.close()
    assert len(server.keys) == 250
    assert not any(thread.name == "cache-owed" and thread.is_alive() for thread in threading.enumerate())
