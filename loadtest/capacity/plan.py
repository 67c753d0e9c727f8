"""A capacity model: from a measured rate per pod and a traffic profile to replicas, lag threshold, catch-up and cost.

The sizes come from arithmetic, and the simulation of the autoscaler has the last word: it says how long chats would
have waited under the very rules that the chart gives KEDA, and whether pods would have come and gone for nothing.
"""

import csv
import itertools
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from loadtest.capacity.autoscaler import ScalingRules
from loadtest.capacity.fleet_simulation import Fleet, simulate
from loadtest.errors import LoadTestError

_CATCH_UP_LIMIT_S: Final = 4 * 3_600
_STABILIZATIONS_S: Final = (300, 600, 900, 1_800, 3_600)
"""Scale-down windows that are tried, shortest first; the HPA takes no more than an hour."""
_NOISE_RATIO: Final = 0.1


@dataclass(frozen=True)
class Traffic:
    """A profile: a base rate with bursts, one second after the other.

    Args:
        base_rate: Chats per second between bursts.
        burst_rate: Chats per second in a burst.
        burst_s: Length of a burst.
        burst_every_s: From the start of a burst to the next.
        duration_s: Length of the profile.
        seed: Same seed, same noise.
    """

    base_rate: float
    burst_rate: float
    burst_s: int = 300
    burst_every_s: int = 3_600
    duration_s: int = 4 * 3_600
    seed: int = 1

    def rates(self) -> list[float]:
        """Return the chats of each second, with noise of a tenth."""
        noise = random.Random(self.seed)  # noqa: S311  not for secrets
        levels = (
            self.burst_rate if second % self.burst_every_s >= self.burst_every_s - self.burst_s else self.base_rate
            for second in range(self.duration_s)
        )
        return [max(0.0, level * (1 + noise.gauss(0, _NOISE_RATIO))) for level in levels]


@dataclass(frozen=True)
class Sizing:
    """What is wanted.

    Args:
        utilisation_ratio: How busy pods may be while they keep up, 0 to 1.
        wait_s: How long the lag of one pod may take it.
        outage_s: An outage to catch up after.
        vcpu_per_pod: vCPUs of a pod.
        price_per_vcpu_hour: In any currency.
    """

    utilisation_ratio: float = 0.8
    wait_s: float = 7.0
    outage_s: float = 1_800.0
    vcpu_per_pod: float = 1.0
    price_per_vcpu_hour: float = 0.04


def pods_for(rate: float, fleet: Fleet, utilisation_ratio: float) -> int:
    """Return the fewest pods that keep up with a rate.

    The pod with the most partitions decides: with 12 partitions, 7 pods are no better than 6.

    Raises:
        LoadTestError: a pod per partition is not enough.
    """
    per_pod = fleet.rate_per_pod * utilisation_ratio
    for n_pods in range(1, fleet.n_partitions + 1):
        if rate * math.ceil(fleet.n_partitions / n_pods) / fleet.n_partitions <= per_pod:
            return n_pods
    raise LoadTestError(
        f"{rate:,.0f} chats/s over {fleet.n_partitions} partitions are more than {per_pod:,.0f} a pod even with a pod "
        f"for each; expected at least {math.ceil(rate / per_pod)} partitions, or faster pods"
    )


def read_profile(path: Path) -> list[float]:
    """Read a profile: lines of `second,rate`, each rate valid until the next line; the last line ends it.

    Raises:
        LoadTestError: it is no such file.
    """
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            steps = [(int(second), float(rate)) for second, rate in csv.reader(lines)]
    except (OSError, ValueError) as error:
        raise LoadTestError(f"{path}: {error}; expected lines of second,rate such as 0,150.5") from error
    rates: list[float] = []
    for (start, rate), (end, _) in itertools.pairwise(steps):
        if end <= start or rate < 0:
            raise LoadTestError(
                f"{path}: second {end} after {start} at rate {rate}; expected rising seconds, rates >= 0"
            )
        rates += [rate] * (end - start)
    if not rates:
        raise LoadTestError(f"{path}: {len(steps)} lines; expected two or more, the last of which ends the profile")
    return rates


def make_plan(rates: list[float], fleet: Fleet, sizing: Sizing, rules: ScalingRules | None = None) -> dict[str, Any]:
    """Return sizes, and what the simulation says of them.

    Args:
        rates: Chats of each second.
        fleet: What the workers can do.
        sizing: What is wanted.
        rules: The autoscaler's rules where they are fixed; else what is proposed.

    Raises:
        LoadTestError: the partitions are too few for the profile.
    """
    mean, peak = sum(rates) / len(rates), _busiest_minute(rates)
    # Never one: a lost node must leave a worker.
    least = max(2, pods_for(_median(rates), fleet, sizing.utilisation_ratio))
    most = max(least, pods_for(peak, fleet, sizing.utilisation_ratio))
    proposed = rules or _steadiest(
        rates,
        fleet,
        replace(
            ScalingRules(),
            lag_threshold=max(1, round(fleet.rate_per_pod * sizing.wait_s)),
            min_replicas=least,
            # Room to catch up after an outage.
            max_replicas=min(fleet.n_partitions, max(most, 2 * least)),
        ),
    )
    under_way = simulate(rates, fleet, proposed).summary()
    lag_only = simulate(rates, fleet, replace(proposed, cpu_percent=0)).summary()
    return {
        "mean_rate": round(mean, 1),
        "busiest_minute_rate": round(peak, 1),
        "rate_per_pod": fleet.rate_per_pod,
        "n_partitions": fleet.n_partitions,
        "min_replicas": proposed.min_replicas,
        "max_replicas": proposed.max_replicas,
        "lag_threshold": proposed.lag_threshold,
        "cpu_percent": proposed.cpu_percent,
        "scale_down_stabilization_s": proposed.down.stabilization_s,
        "catch_up_s": catch_up_s(mean, fleet, proposed, sizing.outage_s),
        "outage_s": sizing.outage_s,
        "cost_per_hour": _cost_per_hour(under_way["mean_pods"], sizing),
        "cost_per_hour_at_max_replicas": _cost_per_hour(proposed.max_replicas, sizing),
        "simulated": under_way,
        "simulated_lag_only": lag_only,
    }


def _steadiest(rates: list[float], fleet: Fleet, rules: ScalingRules) -> ScalingRules:
    """Return the rules with the shortest scale-down window under which pods do not come and go for nothing."""
    tried = [replace(rules, down=replace(rules.down, stabilization_s=window_s)) for window_s in _STABILIZATIONS_S]
    return next((one for one in tried if not simulate(rates, fleet, one).n_flaps()), tried[-1])


def catch_up_s(rate: float, fleet: Fleet, rules: ScalingRules, outage_s: float) -> int | None:
    """Return how long the fleet needs after an outage until nothing waits; None: it never gets there.

    Args:
        rate: Chats per second, all the time.
        fleet: What the workers can do.
        rules: The autoscaler's rules; it starts from the fewest pods.
        outage_s: How long nothing was served.
    """
    run = simulate([rate] * _CATCH_UP_LIMIT_S, fleet, rules, lag_records=rate * outage_s)
    return next(_seconds_without_lag(run.lags, rate), None)


def _seconds_without_lag(lags: list[float], rate: float) -> Iterator[int]:
    return (second for second, lag in enumerate(lags) if lag <= rate)


def cost_per_million(rate: float, n_vcpus: float, sizing: Sizing) -> float:
    """Return what a million chats cost at a rate that so many vCPUs carry, in the currency of the price."""
    return 1e6 / rate / 3_600 * n_vcpus * sizing.price_per_vcpu_hour


def _busiest_minute(rates: list[float]) -> float:
    minutes = [rates[start : start + 60] for start in range(0, len(rates), 60)]
    return max(sum(minute) / len(minute) for minute in minutes)


def _median(rates: list[float]) -> float:
    return sorted(rates)[len(rates) // 2]


def _cost_per_hour(n_pods: float, sizing: Sizing) -> float:
    return round(n_pods * sizing.vcpu_per_pod * sizing.price_per_vcpu_hour, 3)
