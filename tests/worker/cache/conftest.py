"""A cache that owes, over a Redis and an input topic in memory."""

from collections.abc import Iterator

import pytest

from tests.worker.cache.owing import Input, Redis
from worker.cache.owing_cache import OwingCache
from worker.process.metrics import Metrics
from worker.settings.redis import RedisSettings


@pytest.fixture
def server() -> Redis:
    """Return a Redis that works."""
    return Redis()


@pytest.fixture
def records() -> Input:
    """Return the input topic."""
    return Input()


@pytest.fixture
def metrics() -> Metrics:
    """Return metrics of this test."""
    return Metrics()


@pytest.fixture
def cache(server: Redis, records: Input, metrics: Metrics) -> Iterator[OwingCache]:
    """Return a cache that owes at most three chats."""
    cache = OwingCache(server, RedisSettings(owed_max_chats=3), metrics, records)  # type: ignore[arg-type]
    yield cache
    server.refuses = False
    cache.close()
