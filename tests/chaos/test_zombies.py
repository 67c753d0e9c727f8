"""Workers that the group has given up and that come back: nothing of theirs counts, in Kafka or in Redis (F4)."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from deploy.local.proxied_stack import ProxiedStack
from testkit.fault_proxy import LOOPBACK, FaultProxy, KafkaApi
from testkit.link_faults import LinkFaults
from testkit.waiting import wait_until
from testkit.worker_process import WorkerProcess
from tests.chaos.conftest import StartWorker
from tests.chaos.test_lost_answers import wait_held
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.outcomes import ALLOWED, BANNED, Shown, chats, shown, wait_until_redis_shows_the_newest

N_CHATS = 30


def wait_until_it_owns_all(worker: WorkerProcess, n_partitions: int) -> None:
    """Wait until the group has given every partition to a worker."""
    wait_until(
        lambda: any(event["n_assigned"] == n_partitions for event in worker.events("partitions_changed")[-1:]),
        timeout_s=60,
        what=worker.tail,
    )


@contextmanager
def never_going_back(cache: "redis.Redis") -> Iterator[list[tuple[str, Shown, Shown]]]:
    """Look at every chat's key again and again; yield what went back: the chat, what it showed, and what after it."""
    stopping = threading.Event()
    found: list[tuple[str, Shown, Shown]] = []

    def look() -> None:
        newest: dict[str, Shown] = {}
        while not stopping.wait(0.02):
            for chat_id, now in shown(cache).items():
                if now[:2] < newest.get(chat_id, now)[:2]:
                    found.append((chat_id, newest[chat_id], now))
                newest[chat_id] = now

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        stopping.set()
        thread.join(10)


def test_a_cache_write_that_a_zombie_sent_long_ago_loses_against_the_newer_one(
    *, proxied: ProxiedStack, ledger: LiveLedger, cache: "redis.Redis", start_worker: StartWorker
) -> None:
    """F4, I5: the write is on the line while the zombie is frozen and its heir writes newer verdicts."""
    (broker,) = proxied.brokers
    n_partitions = ledger.topics.n_partitions
    with FaultProxy(proxied.stack.redis.port) as line, never_going_back(cache) as went_back:
        zombie = start_worker(
            REDIS__URL=f"redis://{LOOPBACK}:{line.port}/0",
            REDIS__TIMEOUT_S="5",
            BATCH__MAX_RECORDS=str(N_CHATS),
            BATCH__THIN_S="1",
        )
        wait_until_it_owns_all(zombie, n_partitions)
        # One commit is held, so that the next batch waits just before its cache write.
        hold = broker.hold(KafkaApi.END_TXN, "reply")
        ledger.send(chats(N_CHATS, ALLOWED))
        wait_held(hold)
        looked_up = n_scripts(cache)
        ledger.send(chats(N_CHATS, BANNED))
        wait_until(lambda: n_scripts(cache) > looked_up, timeout_s=20, what=lambda: "the next batch was not looked up")
        line.faults = LinkFaults(is_silent=True)
        silenced = line.n_silenced
        hold.release()
        wait_until(lambda: line.n_silenced > silenced, timeout_s=5, what=lambda: "no call to Redis came")
        zombie.send(signal.SIGSTOP)
        heir = start_worker(KAFKA__BOOTSTRAP_SERVERS=proxied.stack.bootstrap_servers)
        wait_until_it_owns_all(heir, n_partitions)
        ledger.send(chats(N_CHATS, ALLOWED))
        ledger.wait_complete()
        wait_until_redis_shows_the_newest(cache, ledger, timeout_s=20)
        before = n_scripts(cache)
        line.heal()
        wait_until(lambda: n_scripts(cache) > before, timeout_s=10, what=lambda: "the late call did not reach Redis")
        wait_until_redis_shows_the_newest(cache, ledger, timeout_s=1)
        zombie.send(signal.SIGCONT)
        ledger.send(chats(N_CHATS, BANNED))
        ledger.wait_complete()
        wait_until_redis_shows_the_newest(cache, ledger, timeout_s=20)
    assert not went_back
    ledger.assert_exactly_once()
    aborted = len(zombie.events("batch_aborted")) + len(zombie.events("last_batch_aborted"))
    print(
        f"F4 late write: {n_scripts(cache) - before} scripts after the thaw, 0 keys went back, {aborted} batches undone"
    )


def n_scripts(cache: "redis.Redis") -> int:
    """Return how many scripts Redis has run."""
    found: dict[str, Any] = cache.info("commandstats")
    return sum(int(found.get(f"cmdstat_{name}", {}).get("calls", 0)) for name in ("evalsha", "eval"))


@pytest.mark.parametrize("group_protocol", ["classic", "consumer"])
def test_a_worker_that_does_not_poll_for_too_long_loses_its_partitions_and_repeats_nothing(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F4: alive by its heartbeats, but stuck in a commit past max.poll.interval; what it commits then is fenced."""
    (broker,) = proxied.brokers
    events = list(short_events(sample_chats, 200, n_chats=100))
    zombie = start_worker(
        KAFKA__MAX_POLL_INTERVAL_S="12",
        KAFKA__REQUEST_TIMEOUT_S="60",
        KAFKA__TRANSACTION_TIMEOUT_S="15",
        MODEL__TIMEOUT_S="0.5",
    )
    wait_until_it_owns_all(zombie, ledger.topics.n_partitions)
    ledger.send(events[:50])
    ledger.wait_complete()
    hold = broker.hold(KafkaApi.END_TXN, "request")
    ledger.send(events[50:100])
    wait_held(hold)
    heir = start_worker(KAFKA__BOOTSTRAP_SERVERS=proxied.stack.bootstrap_servers)
    wait_until_it_owns_all(heir, ledger.topics.n_partitions)
    ledger.send(events[100:150])
    ledger.wait_complete()
    hold.release()
    zombie.wait_for("batch_aborted")
    ledger.send(events[150:])
    ledger.wait_complete()
    ledger.assert_exactly_once()
    print(
        f"F4 max.poll: {len(zombie.events('batch_aborted'))} batch of the zombie undone, {len(ledger.sent)} events once"
    )
