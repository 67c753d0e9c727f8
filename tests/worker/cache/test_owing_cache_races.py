"""The cache that owes, between its threads, over long faults, and where rejections are not written."""

import threading

import pytest

from tests.worker.cache.owing import Clock, Input, Redis, entry, eventually, rejection
from worker.cache.owed_entries import OwedRange
from worker.cache.owed_writes import OwedWrites
from worker.cache.owing_cache import OwingCache


def test_where_rejections_leave_verdicts_alone_they_pay_no_debt_and_displace_none(
    cache: OwingCache, server: Redis
) -> None:
    """The `block` that the topic shows would never come, and the `allow` before it would stay."""
    server.keeps = True
    cache.put_many([entry(1, chat=1), rejection(2, chat=1)])
    assert server.keys["chat-1"].source.offset == 1
    server.refuses = True
    cache.put_many([entry(3, chat=1)])
    server.refuses = False
    cache.put_many([rejection(4, chat=1)])
    eventually(lambda: not cache.owed_from())
    assert server.keys["chat-1"].source.offset == 3
    server.keys.clear()
    server.reconnected()
    eventually(lambda: "chat-1" in server.keys)


def test_a_failover_that_takes_longer_than_writes_are_remembered_loses_none(
    cache: OwingCache, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What counts is how long before the fault they were acknowledged."""
    clock = Clock()
    monkeypatch.setattr("worker.cache.owing_cache.time", clock)
    cache.put_many([entry(1), entry(2)])
    server.keys.clear()
    server.refuses = True
    cache.put_many([entry(3)])
    clock.now_s += 100
    cache.put_many([entry(4)])
    server.refuses = False
    eventually(lambda: len(server.keys) == 4)


def test_a_loss_while_an_earlier_doubt_is_settled_is_a_doubt_of_its_own(
    cache: OwingCache, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up was answered by the server that is gone since."""
    monkeypatch.setattr("worker.cache.owing_cache._PROBE_S", 1_000.0)
    lost = threading.Event()

    def lose() -> None:
        server.looked_up = lambda: None
        server.keys.clear()
        server.reconnected()
        lost.set()

    cache.put_many([entry(1), entry(2)])
    server.looked_up = lose
    server.reconnected()
    eventually(lambda: lost.is_set() and len(server.keys) == 2)


def test_a_debt_that_comes_between_two_looks_does_not_end_the_thread(
    cache: OwingCache, server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit thread owes while the other decides what is due."""
    came = threading.Event()
    length = OwedWrites.__len__

    def look(owed: OwedWrites) -> int:
        n_owed = length(owed)
        if threading.current_thread().name == "cache-owed" and not came.is_set():
            owed.add([entry(1)], 0.0)
            came.set()
        return n_owed

    monkeypatch.setattr(OwedWrites, "__len__", look)
    eventually(lambda: came.is_set() and not cache.owed_from())
    assert sorted(server.keys) == ["chat-1"]


def test_a_fault_that_nobody_foresaw_does_not_end_the_thread(
    cache: OwingCache, server: Redis, records: Input, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without it every later debt would stand for good."""
    monkeypatch.setattr("worker.cache.owing_cache._MEND_RETRY_S", 0.01)
    records.failures.append(ValueError("unforeseen"))
    cache.owe_range(OwedRange("chat-events", 0, 3, 4))
    eventually(lambda: not cache.owed_from())
    assert sorted(server.keys) == ["chat-3"]
