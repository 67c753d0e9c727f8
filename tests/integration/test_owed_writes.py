"""Redis refuses, loses or delays writes while chats turn banned: afterwards it shows what the topics say (F22, F25).

The oracle is verdicts and dead letters together; an ad server that reads an older `allow` serves ads in banned chats.
"""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from deploy.local import LocalStack
from deploy.local.ports import LOOPBACK, free_ports
from deploy.local.redis_server import bundled_redis_server, find_redis_server
from testkit.waiting import wait_until
from tests.integration.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.outcomes import (
    ALLOWED,
    BANNED,
    chats,
    stale,
    wait_until_redis_shows_the_newest,
)
from tests.integration.probes import samples

pytestmark = pytest.mark.services

N_CHATS = 200
SOON_S = 5.0
"""After Redis takes writes again."""


@pytest.fixture
def port() -> int:
    """Return a free port for the worker's health endpoints."""
    return free_ports(1)[0]


@pytest.fixture
def redis_back(stack: LocalStack) -> Iterator[None]:
    """Leave a running, writable Redis behind, whatever the test did to it."""
    yield
    if not stack.redis.process.is_running():
        stack.redis.start()
    client = redis.Redis.from_url(stack.redis_url)
    client.client_unpause()
    client.replicaof("NO", "ONE")
    client.config_set("maxmemory", "0")
    client.close()


@pytest.fixture
def other_redis(tmp_path: Path) -> Iterator["redis.Redis"]:
    """Return a second Redis, which is nobody's replica yet."""
    (port,) = free_ports(1)
    binary = find_redis_server(os.environ, bundled=bundled_redis_server())
    argv = [str(binary), "--port", str(port), "--bind", LOOPBACK, "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    client = redis.Redis(host=LOOPBACK, port=port)
    wait_until(lambda: _answers(client), timeout_s=15, what=lambda: "the second Redis does not answer")
    yield client
    client.close()
    process.kill()
    process.wait(10)


def _answers(client: "redis.Redis") -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


def _address(client: "redis.Redis") -> tuple[str, int]:
    where = client.connection_pool.connection_kwargs
    return str(where["host"]), int(where["port"])


def _replicate(replica: "redis.Redis", master: "redis.Redis") -> None:
    """Make one Redis the copy of another, and wait until it is."""
    replica.replicaof(*map(str, _address(master)))
    wait_until(
        lambda: replica.info("replication").get("master_link_status") == "up",  # type: ignore[union-attr]
        timeout_s=20,
        what=lambda: "the replica has no link to its master",
    )
    wait_until(lambda: replica.dbsize() == master.dbsize(), timeout_s=10, what=lambda: "the replica is not in step")


def turn(ledger: LiveLedger, text: str) -> None:
    """Let every chat say this, and wait until the topics hold what came of it."""
    ledger.send(chats(N_CHATS, text))
    ledger.wait_complete()


def test_writes_that_a_pause_of_redis_has_timed_out_are_made_up_for(
    ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker, port: int
) -> None:
    """One put that times out opens no breaker; without a debt the old `allow` would stay for the TTL, seven days."""
    start_worker(HTTP__PORT=str(port))
    turn(ledger, ALLOWED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    for pause_ms, text in ((500, BANNED), (3_000, ALLOWED)):
        cache.client_pause(pause_ms)
        turn(ledger, text)
        # Waits for the end of the pause as any other client does.
        cache.ping()
        wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    wait_until(
        lambda: samples(port, "moderation_cache_owed_writes") == {(): 0},
        timeout_s=SOON_S,
        what=lambda: f"still owed: {samples(port, 'moderation_cache_owed_writes')}",
    )
    ledger.assert_exactly_once()


@pytest.mark.usefixtures("redis_back")
def test_a_redis_that_was_killed_is_filled_with_what_it_missed_and_lost(
    stack: LocalStack, ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker
) -> None:
    """It comes back empty: what it had acknowledged within the last minute is written again too."""
    start_worker()
    turn(ledger, ALLOWED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    stack.redis.stop(kill=True)
    ledger.send(chats(N_CHATS // 2, BANNED))
    ledger.wait_complete()
    stack.redis.start()
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    # Nothing was refused this time: an idle worker learns of it too.
    stack.redis.stop(kill=True)
    stack.redis.start()
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    ledger.assert_exactly_once()


@pytest.mark.usefixtures("redis_back")
def test_a_replica_that_refuses_writes_is_noticed_and_gets_them_when_it_is_promoted(
    ledger: LiveLedger, cache: "redis.Redis", other_redis: "redis.Redis", start_worker: StartWorker, port: int
) -> None:
    """It answers every read: with one breaker for both, each good read would say that the cache is up."""
    start_worker(HTTP__PORT=str(port))
    turn(ledger, ALLOWED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    _replicate(other_redis, cache)
    other_redis.replicaof("NO", "ONE")
    _replicate(cache, other_redis)
    turn(ledger, BANNED)
    wait_until(
        lambda: samples(port, "moderation_cache_breaker_open").get((("op", "put"),)) == 1,
        timeout_s=10,
        what=lambda: f"breakers: {samples(port, 'moderation_cache_breaker_open')}",
    )
    assert samples(port, "moderation_cache_up") == {(): 0}
    assert samples(port, "moderation_cache_owed_writes")[()] >= N_CHATS
    assert samples(port, "moderation_cache_owed_oldest_seconds")[()] > 0
    # More events come, and their look-ups are answered.
    ledger.send(chats(3, BANNED))
    ledger.wait_complete()
    assert samples(port, "moderation_cache_up") == {(): 0}
    cache.replicaof("NO", "ONE")
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    wait_until(lambda: samples(port, "moderation_cache_up") == {(): 1}, timeout_s=SOON_S, what=lambda: "not up")
    ledger.assert_exactly_once()


@pytest.mark.usefixtures("redis_back")
def test_what_a_promoted_replica_never_got_is_written_again(
    ledger: LiveLedger, cache: "redis.Redis", other_redis: "redis.Redis", start_worker: StartWorker
) -> None:
    """Replication is asynchronous: the old master had acknowledged the `block`, the new one has the `allow` before."""
    start_worker()
    turn(ledger, ALLOWED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    _replicate(other_redis, cache)
    other_redis.replicaof("NO", "ONE")
    turn(ledger, BANNED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    # Behind the worker's address stands now who was the replica. Sentinel ends the connections so too.
    _replicate(cache, other_redis)
    cache.replicaof("NO", "ONE")
    assert stale(cache, ledger)
    cache.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)


@pytest.mark.usefixtures("redis_back")
def test_a_full_redis_gets_what_it_refused_once_it_has_room(
    ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker, port: int
) -> None:
    """`noeviction` refuses every write and answers every read."""
    start_worker(HTTP__PORT=str(port))
    turn(ledger, ALLOWED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    cache.config_set("maxmemory-policy", "noeviction")
    cache.config_set("maxmemory", "1")
    turn(ledger, BANNED)
    assert len(stale(cache, ledger)) == N_CHATS
    assert sum(
        n for labels, n in samples(port, "moderation_cache_writes_total").items() if ("result", "refused") in labels
    )
    cache.config_set("maxmemory", "0")
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)


@pytest.mark.usefixtures("redis_back")
@pytest.mark.parametrize("delivery", ["exactly_once", "at_least_once"])
def test_a_worker_that_is_killed_while_it_owes_leaves_no_stale_verdict(
    ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker, delivery: str
) -> None:
    """The debt dies with its memory; the note beside the committed offset tells the successor where it begins."""
    doomed = start_worker(KAFKA__DELIVERY=delivery)
    turn(ledger, ALLOWED)
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
    cache.config_set("maxmemory-policy", "noeviction")
    cache.config_set("maxmemory", "1")
    turn(ledger, BANNED)
    # The offsets too are committed.
    doomed.wait_for("batch_done", count=len(doomed.events("batch_done")))
    wait_until(
        lambda: sum(event["n_records"] for event in doomed.events("batch_done")) == 2 * N_CHATS,
        timeout_s=10,
        what=doomed.tail,
    )
    doomed.send(signal.SIGKILL)
    doomed.wait_exit()
    assert len(stale(cache, ledger)) == N_CHATS
    heir = start_worker(KAFKA__DELIVERY=delivery)
    heir.wait_until_it_owns_partitions()
    cache.config_set("maxmemory", "0")
    wait_until(
        lambda: not stale(cache, ledger), timeout_s=SOON_S, what=lambda: str(list(stale(cache, ledger).items())[:3])
    )
    # Paid debts leave the notes, so that the next successor has nothing to read again.
    heir.wait_for("owed_range_done")
    assert heir.stop() == 0
    third = start_worker(KAFKA__DELIVERY=delivery)
    third.wait_until_it_owns_partitions()
    turn(ledger, BANNED)
    assert not third.events("owed_range_begun")
    wait_until_redis_shows_the_newest(cache, ledger, timeout_s=SOON_S)
