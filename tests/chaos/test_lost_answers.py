"""A commit whose request or answer is lost, late, or cut by a killed worker: each record still ends once."""

from typing import Any

import orjson
import pytest
import redis

from deploy.local.ports import free_ports
from deploy.local.proxied_stack import ProxiedStack
from testkit.fault_proxy import Direction, Hold, KafkaApi
from testkit.waiting import wait_until
from tests.chaos.conftest import StartWorker
from tests.chaos.transactions import wait_until_something_is_open, wait_until_the_broker_has_aborted
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events
from tests.integration.probes import samples
from worker.cache.values import cache_key


def wait_held(hold: Hold) -> None:
    """Wait until the proxy holds a message."""
    wait_until(lambda: hold.n_held > 0, timeout_s=60, what=lambda: f"no {hold.direction} of {hold.api.name} came")


def cached_ids(cache: "redis.Redis") -> dict[str, str]:
    """Return the verdict id of each chat in Redis."""
    values = [orjson.loads(cache.get(key)) for key in cache.scan_iter(match=cache_key("*"))]  # type: ignore[arg-type]
    return {value["chat_id"]: value["verdict_id"] for value in values}


def test_a_worker_killed_between_cache_write_and_commit_is_followed_by_hits_with_the_same_ids(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    cache: "redis.Redis",
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F2: the cache is ahead of the topic; the heir reads the events again and must say what Redis says."""
    (broker,) = proxied.brokers
    name = f"{ledger.topics.events}-slot"
    hold = broker.hold(KafkaApi.END_TXN, "request")
    doomed = start_worker(KAFKA__TRANSACTIONAL_ID=name)
    ledger.send(short_events(sample_chats, 60, n_chats=60))
    wait_held(hold)
    doomed.kill()
    hold.drop()
    left = cached_ids(cache)
    assert left
    assert ledger.n_seen == 0
    start_worker(KAFKA__TRANSACTIONAL_ID=name)
    ledger.wait_complete()
    ledger.assert_exactly_once()
    found = {verdict.chat_id: verdict for verdict in ledger.verdicts().values() if verdict.chat_id in left}
    assert {chat_id: verdict.verdict_id for chat_id, verdict in found.items()} == left
    assert all(verdict.cache_hit for verdict in found.values())
    print(f"F2: {len(left)} verdicts cached and not committed, {len(found)} hits with the same id")


@pytest.mark.parametrize(
    ("direction", "late"), [("reply", False), ("request", False), ("request", True)], ids=["reply", "request", "late"]
)
def test_a_commit_without_an_answer_is_looked_up_and_never_repeated(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
    direction: Direction,
    late: bool,
) -> None:
    """F11: with its reply lost the transaction is committed, with its request lost it is not, and late it is fenced."""
    (broker,) = proxied.brokers
    (port,) = free_ports(1)
    worker = start_worker(KAFKA__REQUEST_TIMEOUT_S="4", KAFKA__TRANSACTION_TIMEOUT_S="30", HTTP__PORT=str(port))
    events = list(short_events(sample_chats, 120, n_chats=60))
    ledger.send(events[:40])
    ledger.wait_complete()
    hold = broker.hold(KafkaApi.END_TXN, direction)
    ledger.send(events[40:80])
    wait_held(hold)
    worker.wait_for("producer_replaced")
    if late:
        hold.release()
    else:
        hold.drop()
    ledger.send(events[80:])
    ledger.wait_complete()
    in_doubt = samples(port, "moderation_batch_aborts_total").get((("indefinite", "true"),), 0)
    assert in_doubt >= 1
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F11 {direction}{' late' if late else ' lost'}: {in_doubt:.0f} in doubt, {len(ledger.sent)} events once")


def test_a_transaction_that_outlives_its_time_out_is_aborted_and_read_again(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F12: the broker has fenced the worker's own epoch; that is no second worker, and the process goes on."""
    (broker,) = proxied.brokers
    (port,) = free_ports(1)
    worker = start_worker(KAFKA__TRANSACTION_TIMEOUT_S="3", HTTP__PORT=str(port))
    events = list(short_events(sample_chats, 120, n_chats=60))
    ledger.send(events[:40])
    ledger.wait_complete()
    # The client asks again when its own time-out is over, and would be answered before the broker's.
    hold = broker.hold(KafkaApi.END_TXN, "request", n_most=10)
    ledger.send(events[40:])
    wait_held(hold)
    wait_until_something_is_open(ledger.topics)
    wait_until_the_broker_has_aborted(ledger.topics)
    hold.release()
    ledger.wait_complete()
    aborts = sum(samples(port, "moderation_batch_aborts_total").values())
    assert aborts >= 1
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F12: {aborts:.0f} batches aborted and read again, {len(ledger.sent)} events once")
