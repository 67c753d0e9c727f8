"""The autoscaler's own arithmetic: KEDA's Kafka scaler, and the HPA controller that acts on it. Pure.

KEDA reports the lag of all partitions together, capped at partitions x threshold. The HPA turns it into pods
(lag / threshold, rounded up, unless it is within a tenth of what runs), keeps the smallest recommendation of the
scale-up window and the largest of the scale-down window, and moves no faster than its policies allow. A CPU trigger
beside the lag works the same way on utilisation, and the larger answer counts.

Source: KEDA v2.21.0, pkg/scalers/kafka_scaler.go, `getTotalLag`; Kubernetes, pkg/controller/podautoscaler/horizontal.go
(`stabilizeRecommendationWithBehaviors`, `convertDesiredReplicasWithBehaviorRate`) and replica_calculator.go.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

SYNC_S: Final = 15
"""How often the HPA controller decides (its default)."""

TOLERANCE: Final = 0.1
"""The HPA leaves a ratio of wanted to found within this of 1 alone (its default)."""


@dataclass(frozen=True)
class Movement:
    """How far the HPA may move in one direction.

    Args:
        stabilization_s: Window over which the most careful recommendation counts.
        percent: Share of the pods that may come or go within a period.
        pods: Number of pods that may, where it is more than the share; 0: the share only.
        period_s: The period.
    """

    stabilization_s: int
    percent: int
    pods: int = 0
    period_s: int = 60


@dataclass(frozen=True)
class ScalingRules:
    """What the chart's `autoscaling` says; the defaults are the chart's own.

    Args:
        lag_threshold: Records per pod.
        cpu_percent: Wanted CPU utilisation, percent; 0: no CPU trigger.
        min_replicas: Never fewer pods.
        max_replicas: Never more.
        up: On the way up.
        down: On the way down.
    """

    lag_threshold: int = 500
    cpu_percent: int = 80
    min_replicas: int = 2
    max_replicas: int = 12
    up: Movement = Movement(stabilization_s=0, percent=100, pods=4)
    down: Movement = Movement(stabilization_s=300, percent=25)


def keda_lag(lags: Sequence[float], lag_threshold: int) -> int:
    """Return the lag that KEDA reports: the sum, capped so that there are never more pods than partitions.

    Args:
        lags: Lag of each partition, records.
        lag_threshold: Records per pod.
    """
    total = math.floor(sum(lags))
    # Whole pods are compared, as in Go's integer division.
    return len(lags) * lag_threshold if total // lag_threshold > len(lags) else total


def wanted_by_lag(n_pods: int, lag: int, lag_threshold: int) -> int:
    """Return the pods that the HPA derives from an external metric with an average value."""
    if n_pods and abs(lag / (lag_threshold * n_pods) - 1) <= TOLERANCE:
        return n_pods
    return math.ceil(lag / lag_threshold)


def wanted_by_cpu(n_pods: int, utilisation_percent: float, cpu_percent: int) -> int:
    """Return the pods that the HPA derives from average CPU utilisation; 0 without a CPU trigger."""
    if not cpu_percent:
        return 0
    ratio = utilisation_percent / cpu_percent
    return n_pods if abs(ratio - 1) <= TOLERANCE else math.ceil(n_pods * ratio)


class Autoscaler:
    """The HPA controller with its memory.

    Args:
        rules: What it may do.
    """

    def __init__(self, rules: ScalingRules) -> None:
        self._rules = rules
        self._recommendations: deque[tuple[float, int]] = deque()
        self._changes: deque[tuple[float, int]] = deque()

    def decide(self, now_s: float, n_pods: int, lags: Sequence[float], utilisation_percent: float) -> int:
        """Return the number of pods from now on.

        Args:
            now_s: Time, at most once per `SYNC_S`.
            n_pods: Pods now.
            lags: Lag of each partition, records.
            utilisation_percent: Average CPU utilisation of the pods, 0 to 100.
        """
        rules = self._rules
        wanted = max(
            wanted_by_lag(n_pods, keda_lag(lags, rules.lag_threshold), rules.lag_threshold),
            wanted_by_cpu(n_pods, utilisation_percent, rules.cpu_percent),
        )
        wanted = min(max(wanted, rules.min_replicas), rules.max_replicas)
        allowed = self._within_rates(now_s, n_pods, self._stabilized(now_s, n_pods, wanted))
        if allowed != n_pods:
            self._changes.append((now_s, allowed - n_pods))
        return allowed

    def _stabilized(self, now_s: float, n_pods: int, wanted: int) -> int:
        rules = self._rules
        longest_s = max(rules.up.stabilization_s, rules.down.stabilization_s)
        self._recommendations.append((now_s, wanted))
        while now_s - self._recommendations[0][0] > longest_s:
            self._recommendations.popleft()
        up = min(w for at_s, w in self._recommendations if now_s - at_s <= rules.up.stabilization_s)
        down = max(w for at_s, w in self._recommendations if now_s - at_s <= rules.down.stabilization_s)
        return min(max(n_pods, up), down)

    def _within_rates(self, now_s: float, n_pods: int, wanted: int) -> int:
        rules = self._rules
        if wanted > n_pods:
            start = self._at_period_start(now_s, n_pods, rules.up.period_s)
            limit = max(start + rules.up.pods, math.ceil(start * (1 + rules.up.percent / 100)))
            return max(n_pods, min(wanted, limit))
        if wanted < n_pods:
            start = self._at_period_start(now_s, n_pods, rules.down.period_s)
            limit = min(start - rules.down.pods, math.floor(start * (1 - rules.down.percent / 100)))
            return min(n_pods, max(wanted, limit))
        return n_pods

    def _at_period_start(self, now_s: float, n_pods: int, period_s: int) -> int:
        longest_s = max(self._rules.up.period_s, self._rules.down.period_s)
        while self._changes and now_s - self._changes[0][0] > longest_s:
            self._changes.popleft()
        return n_pods - sum(change for at_s, change in self._changes if now_s - at_s < period_s)
