"""Many pods of one group: a rolling restart of six, and a scale that never rests (F5, F6)."""

import itertools
import os
import signal
import time
from collections.abc import Iterable
from typing import Any, Final

import pytest

from deploy.local.proxied_stack import ProxiedStack
from testkit.ledger import origin
from testkit.records import Place
from testkit.worker_process import WorkerProcess
from tests.chaos.conditions import moments
from tests.chaos.conftest import Settings, StartWorker
from tests.integration.ledger import LiveLedger
from tests.integration.test_group_membership import owned
from tests.integration.test_scale_out import BOUND_S, sending

N_PODS: Final = 6
CHURN_S: Final = float(os.environ.get("CHAOS_CHURN_S", "300"))
STEP_S: Final = 20.0
SCALES: Final = (12, 3, 1)
MOST_ABORTED_RATIO: Final = 0.1
"""Of all batches; a group that only ever undoes its own work would be near 1."""


@pytest.fixture
def n_partitions() -> int:
    """Return enough partitions for all pods to share."""
    return 12


@pytest.fixture
def settings(direct_settings: Settings) -> Settings:
    """Return settings without a proxy: the pods themselves are the fault."""
    return direct_settings


def changed(workers: Iterable[WorkerProcess], since: dict[int, int]) -> set[int]:
    """Return the partitions that were taken from or given to any of these workers since so many changes of each."""
    return {
        partition
        for worker in workers
        for event in worker.events("partitions_changed")[since.get(worker.pid, 0) :]
        for partition in event["partitions"]
    }


def seen_between(ledger: LiveLedger, began_s: float, ended_s: float) -> set[int]:
    """Return the input partitions of which a reader saw outcomes within this time."""
    return {
        origin(record, ledger.topics).partition
        for record in ledger.seen
        if began_s <= ledger.seen_at_s[Place(*record[:3])] <= ended_s
    }


@pytest.mark.timeout(600)
def test_six_pods_are_restarted_in_turn_and_partitions_that_stay_keep_flowing(
    *, proxied: ProxiedStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F5: cooperative rebalances move what the leaving pod had; the others' chats must not wait for its successor."""
    del proxied  # only for its services
    workers = [start_worker() for _ in range(N_PODS)]
    for worker in workers:
        worker.wait_until_it_owns_partitions()
    n_kept = 0
    with sending(ledger, [chat for chat in sample_chats if chat["messages"]]):
        ledger.wait_seen(len(ledger.sent) + 100)
        before = set(ledger.sent)
        for _ in range(N_PODS):
            leaving, staying = workers[0], workers[1:]
            had = {worker.pid: owned(worker) for worker in staying}
            since = {worker.pid: len(worker.events("partitions_changed")) for worker in staying}
            began_s = time.perf_counter()
            assert leaving.stop() == 0
            workers = [*staying, start_worker()]
            workers[-1].wait_until_it_owns_partitions()
            ended_s = time.perf_counter()
            kept = set().union(*had.values()) - changed(staying, since)
            silent = kept - seen_between(ledger, began_s, ended_s)
            assert not silent, f"partitions {sorted(silent)} stayed where they were and stood still"
            n_kept += len(kept)
    ledger.wait_complete()
    assert [worker.stop() for worker in workers] == [0] * N_PODS
    ledger.assert_exactly_once()
    pause_s = ledger.longest_pause_s(ledger.sent.keys() - before)
    assert n_kept
    assert pause_s < BOUND_S
    print(f"F5: {N_PODS} restarts, {n_kept} times a partition stayed and flowed, longest wait {pause_s:.1f} s")


@pytest.mark.timeout(CHURN_S + 600)
def test_a_scale_that_never_rests_aborts_few_batches_and_always_gets_on(
    *, proxied: ProxiedStack, ledger: LiveLedger, start_worker: StartWorker, sample_chats: list[dict[str, Any]]
) -> None:
    """F6: an autoscaler that swings; each rebalance may undo a batch in hand, but not all of them."""
    del proxied  # only for its services
    workers = [start_worker()]
    everyone = [*workers]
    workers[0].wait_until_it_owns_partitions()
    scales, n_steps = itertools.cycle(SCALES), 0
    began_s = time.monotonic()
    with sending(ledger, [chat for chat in sample_chats if chat["messages"]]):
        while time.monotonic() - began_s < CHURN_S:
            wanted, seen = next(scales), ledger.n_seen
            leaving, workers = workers[wanted:], workers[:wanted]
            for worker in leaving:
                worker.send(signal.SIGTERM)
            started = [start_worker() for _ in range(wanted - len(workers))]
            workers += started
            everyone += started
            # A worker that is told to stop before it listens to signals has taken nothing yet.
            assert {worker.wait_exit(timeout_s=60) for worker in leaving} <= {0, -signal.SIGTERM}
            for _ in moments(STEP_S):
                assert all(worker.exit_code is None for worker in workers)
            assert ledger.n_seen > seen, f"no outcome in a step with {wanted} workers"
            n_steps += 1
        churned_s = time.monotonic() - began_s
    ledger.wait_complete()
    n_aborted = sum(len(worker.events("batch_aborted")) for worker in everyone)
    n_done = sum(len(worker.events("batch_done")) for worker in everyone)
    ratio = n_aborted / (n_aborted + n_done)
    assert ratio <= MOST_ABORTED_RATIO
    ledger.assert_exactly_once()
    print(
        f"F6: {n_steps} steps in {churned_s:.0f} s, {len(everyone)} workers, "
        f"{n_aborted} of {n_aborted + n_done} batches aborted ({ratio:.1%}), {len(ledger.sent)} events once"
    )
