"""Workers under an autoscaler, second by second: how long chats wait, how often pods come and go, what it costs.

Every partition has a queue of its own. A pod serves its partitions in proportion to what waits in them; a pod that has
just been started serves nothing yet, and after each change of the group nobody serves for a moment, which is worse than
the cooperative rebalance of the real workers, who keep what does not move.
"""

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

from loadtest.capacity.autoscaler import SYNC_S, Autoscaler, ScalingRules

_FLAP_S = 600
"""Pods that went and are wanted again within this went too early."""

_CPU_WINDOW_S = 30
"""Over how long CPU utilisation is averaged, about as metrics-server does."""


@dataclass(frozen=True)
class Fleet:
    """What the workers can do.

    Args:
        rate_per_pod: Chats per second of one busy pod, measured.
        n_partitions: Partitions of the input topic.
        start_s: From the autoscaler's decision to a pod that serves.
        rebalance_s: Pause after a change of the group.
    """

    rate_per_pod: float
    n_partitions: int
    start_s: int = 20
    rebalance_s: int = 3


@dataclass
class FleetRun:
    """What happened, one entry per second."""

    arrivals: list[float] = field(default_factory=list)
    served: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    pods: list[int] = field(default_factory=list)

    def waits_s(self) -> list[float]:
        """Return for each second how long ago the oldest waiting chat arrived (first in, first out over all)."""
        came = list(accumulate(self.arrivals))
        waits: list[float] = []
        oldest = 0
        for second, done in enumerate(accumulate(self.served)):
            while oldest <= second and came[oldest] <= done + 1e-6:
                oldest += 1
            waits.append(float(second + 1 - oldest))
        return waits

    def n_flaps(self) -> int:
        """Return how often pods were added soon after some had been taken away."""
        flaps, gone_at = 0, -math.inf
        for second in range(1, len(self.pods)):
            change = self.pods[second] - self.pods[second - 1]
            if change < 0:
                gone_at = second
            elif change > 0 and second - gone_at < _FLAP_S:
                flaps += 1
                gone_at = -math.inf
        return flaps

    def summary(self) -> dict[str, Any]:
        """Return the figures to print."""
        waits = sorted(self.waits_s())
        changes = [after - before for before, after in pairwise(self.pods)]
        return {
            "max_wait_s": waits[-1],
            "p99_wait_s": waits[math.ceil(len(waits) * 0.99) - 1],
            "max_lag_records": round(max(self.lags)),
            "max_pods": max(self.pods),
            "mean_pods": round(sum(self.pods) / len(self.pods), 2),
            "pod_hours": round(sum(self.pods) / 3_600, 2),
            "n_scale_ups": sum(change > 0 for change in changes),
            "n_scale_downs": sum(change < 0 for change in changes),
            "n_flaps": self.n_flaps(),
        }


def simulate(rates: Iterable[float], fleet: Fleet, rules: ScalingRules, *, lag_records: float = 0.0) -> FleetRun:
    """Run the fleet over a traffic profile.

    Args:
        rates: Chats that arrive in each second.
        fleet: What the workers can do.
        rules: What the autoscaler may do.
        lag_records: What waits at the start, after an outage.
    """
    autoscaler, run = Autoscaler(rules), FleetRun()
    lags = [lag_records / fleet.n_partitions] * fleet.n_partitions
    n_pods = n_serving = rules.min_replicas
    paused_until_s = 0
    starting: deque[tuple[int, int]] = deque()
    busy: deque[float] = deque(maxlen=_CPU_WINDOW_S)
    for second, rate in enumerate(rates):
        lags = [lag + rate / fleet.n_partitions for lag in lags]
        ready = n_pods - sum(pods for at_s, pods in starting if at_s > second)
        if ready != n_serving:
            n_serving, paused_until_s = ready, second + fleet.rebalance_s
        served = 0.0 if second < paused_until_s else _serve(lags, n_serving, fleet.rate_per_pod)
        busy.append(100 * served / (n_serving * fleet.rate_per_pod))
        # What waited at the start counts as having arrived with the first second.
        run.arrivals.append(rate + (lag_records if second == 0 else 0.0))
        run.served.append(served)
        run.lags.append(sum(lags))
        run.pods.append(n_pods)
        if second % SYNC_S == 0 and second:
            decided = autoscaler.decide(second, n_pods, lags, sum(busy) / len(busy))
            if decided > n_pods:
                starting.append((second + fleet.start_s, decided - n_pods))
            elif decided < n_pods:
                _take_away(starting, second, n_pods - decided)
            n_pods = decided
    return run


def _take_away(starting: deque[tuple[int, int]], second: int, n_gone: int) -> None:
    """Take pods that do not serve yet first, as Kubernetes does."""
    while n_gone and starting and starting[-1][0] > second:
        at_s, pods = starting.pop()
        if pods > n_gone:
            starting.append((at_s, pods - n_gone))
        n_gone -= min(pods, n_gone)


def _serve(lags: list[float], n_pods: int, rate_per_pod: float) -> float:
    """Take what each pod can do in a second from its partitions; return how much was taken."""
    served = 0.0
    for pod in range(min(n_pods, len(lags))):
        owned = range(pod, len(lags), n_pods)
        waiting = sum(lags[partition] for partition in owned)
        taken = min(waiting, rate_per_pod)
        left = 1 - taken / waiting if waiting else 0.0
        for partition in owned:
            lags[partition] *= left
        served += taken
    return served
