"""The Redis master dies under load; behind the same address stands its replica, which lacks the newest writes (F22)."""

from collections.abc import Iterator

import pytest
import redis

from deploy.local.ports import free_ports
from deploy.local.proxied_stack import ProxiedStack
from tests.chaos.conditions import total
from tests.chaos.conftest import StartWorker
from tests.chaos.test_zombies import never_going_back
from tests.integration import test_owed_writes as owed
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import ALLOWED, BANNED, chats, stale, wait_until_redis_shows_the_newest

other_redis = owed.other_redis


@pytest.fixture
def master_back(proxied: ProxiedStack) -> Iterator[None]:
    """Leave the usual Redis behind, at its usual address."""
    yield
    if not proxied.stack.redis.process.is_running():
        proxied.stack.redis.start()
    proxied.redis.lead_to(proxied.stack.redis.port)
    proxied.redis.cut()


@pytest.mark.usefixtures("master_back")
def test_a_replica_that_takes_over_without_the_newest_writes_is_put_right_and_costs_no_verdict(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    cache: "redis.Redis",
    other_redis: "redis.Redis",
    start_worker: StartWorker,
) -> None:
    """F22: what the dead master had acknowledged is gone with it; an ad server must not read the `allow` before."""
    (port,) = free_ports(1)
    worker = start_worker(HTTP__PORT=str(port))
    owed.turn(ledger, ALLOWED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=owed.SOON_S)
    owed._replicate(other_redis, cache)
    other_redis.replicaof("NO", "ONE")
    owed.turn(ledger, BANNED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=owed.SOON_S)
    proxied.stack.redis.stop(kill=True)
    # Verdicts while nobody answers.
    ledger.send(chats(owed.N_CHATS // 2, ALLOWED))
    ledger.wait_complete()
    n_stale = len(stale(other_redis, ledger))
    assert n_stale == owed.N_CHATS
    with never_going_back(other_redis) as went_back:
        proxied.redis.lead_to(int(other_redis.connection_pool.connection_kwargs["port"]))
        proxied.redis.cut()
        wait_until_redis_shows_the_newest(other_redis, ledger, timeout_s=2 * owed.SOON_S)
        owed.turn(ledger, BANNED)
        wait_until_redis_shows_the_newest(other_redis, ledger, timeout_s=owed.SOON_S)
    assert not went_back
    n_missed = total(port, "moderation_cache_lookups_total")
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F22: {n_stale} stale chats put right, 0 went back, {n_missed:.0f} look-ups, {len(ledger.sent)} events once")
