"""The only broker is away for long, or reached over a bad line (F16, F17)."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from deploy.local.ports import free_ports
from deploy.local.proxied_stack import ProxiedStack
from testkit.link_faults import LinkFaults
from testkit.waiting import wait_until
from tests.chaos.conditions import is_live, is_ready, moments
from tests.chaos.conftest import StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.load import short_events

STALLED_AFTER_S = 20
AWAY_S = 5.0 * STALLED_AFTER_S
"""As ten minutes to the default of 120 s."""
BAD_LINE = LinkFaults(latency_s=0.15, jitter_s=0.05, loss_ratio=0.01, bytes_per_s=125_000)
"""300 ms there and back, give or take 100; 1 % of the packets lost; 1 Mbit/s."""


@pytest.fixture
def broker_back(proxied: ProxiedStack) -> Iterator[None]:
    """Leave a running broker behind, whatever the test did to it."""
    yield
    if not proxied.stack.kafka.processes[0].is_running():
        proxied.stack.kafka.start_broker(0)


@pytest.mark.usefixtures("broker_back")
def test_a_worker_lives_through_five_times_its_patience_without_kafka_and_goes_on_by_itself(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F16: an orchestrator that restarts waiting workers adds a crash loop to an outage."""
    (port,) = free_ports(1)
    worker = start_worker(
        HTTP__PORT=str(port),
        HTTP__STALLED_AFTER_S=str(STALLED_AFTER_S),
        MODEL__TIMEOUT_S="1",
        KAFKA__REQUEST_TIMEOUT_S="5",
    )
    events = list(short_events(sample_chats, 400, n_chats=100))
    ledger.send(events[:200])
    ledger.wait_seen(100)
    proxied.stack.kafka.stop_broker(0)
    not_ready_after_s = None
    for elapsed_s in moments(AWAY_S):
        assert worker.exit_code is None, worker.tail()
        assert is_live(port), f"not live after {elapsed_s:.0f} s without Kafka"
        if not_ready_after_s is None and not is_ready(port):
            not_ready_after_s = elapsed_s
    assert not is_ready(port)
    proxied.stack.kafka.start_broker(0)
    ledger.send(events[200:])
    ledger.wait_complete()
    wait_until(lambda: is_ready(port), timeout_s=30, what=worker.tail)
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F16: live for {AWAY_S:.0f} s without Kafka, not ready after {not_ready_after_s:.0f} s, {len(events)} once")


def test_a_bad_line_costs_throughput_and_no_verdict(
    *,
    proxied: ProxiedStack,
    ledger: LiveLedger,
    start_worker: StartWorker,
    sample_chats: list[dict[str, Any]],
) -> None:
    """F17: to Kafka and to Redis alike; the cache gives up, the transactions take longer, the account balances."""
    worker = start_worker(KAFKA__SESSION_TIMEOUT_S="10", KAFKA__TRANSACTION_TIMEOUT_S="10")
    events = list(short_events(sample_chats, 600, n_chats=150))
    rates: list[float] = []
    for part, faults in ((events[:300], LinkFaults()), (events[300:], BAD_LINE)):
        for line in (*proxied.brokers, proxied.redis):
            line.faults = faults
        worker.wait_until_it_owns_partitions()
        started = time.monotonic()
        ledger.send(part)
        ledger.wait_complete(timeout_s=200)
        rates.append(len(part) / (time.monotonic() - started))
    assert worker.exit_code is None, worker.tail()
    assert worker.stop() == 0
    ledger.assert_exactly_once()
    print(f"F17: {rates[0]:.0f} events/s on a good line, {rates[1]:.0f}/s on the bad one, {len(events)} once")
