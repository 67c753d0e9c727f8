"""`sweep`: the highest rate that holds a latency target, and what a deployment for a target rate takes. Pure.

The search asks a system for one rate after the other: it doubles until a rate does not hold, halves the gap (of the
logarithms) until the two ends are close, and then asks for the answer once more, because one trial in which a noisy
machine was quiet proves little.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtest.capacity.fleet_simulation import Fleet
from loadtest.capacity.plan import Sizing, cost_per_million, pods_for

_LEAST_RATE: Final = 0.5
"""Below so many chats a second nothing is worth searching for."""
_PARTITIONS_PER_POD: Final = 2
"""So that twice the pods, after a burst or an outage, still have a partition each."""
_LEAST_REPLICAS: Final = 2
"""Never one: a lost node must leave a worker."""
_LATE_RATIO: Final = 0.5
"""A generator that is later than this share of the target has measured itself."""


@dataclass(frozen=True)
class Setting:
    """One point of the grid; None leaves the worker's default.

    Args:
        n_workers: Workers in the group.
        n_threads: Inference threads of each.
        batch_records: Record limit of one batch.
        padded_tokens: Token budget of one inference.
        thin_s: Intended time of a batch while the worker keeps up, seconds.
    """

    n_workers: int
    n_threads: int
    batch_records: int | None = None
    padded_tokens: int | None = None
    thin_s: float | None = None

    def environment(self) -> dict[str, str]:
        """Return the workers' variables."""
        named = {
            "MODERATION_MODEL__N_THREADS": self.n_threads,
            "MODERATION_BATCH__MAX_RECORDS": self.batch_records,
            "MODERATION_MODEL__MAX_PADDED_TOKENS": self.padded_tokens,
            "MODERATION_BATCH__THIN_S": self.thin_s,
        }
        return {name: str(value) for name, value in named.items() if value is not None}


def grid(
    *,
    workers: Sequence[int],
    threads: Sequence[int],
    batch_records: Sequence[int | None] = (None,),
    padded_tokens: Sequence[int | None] = (None,),
    thin_s: Sequence[float | None] = (None,),
) -> Iterator[Setting]:
    """Yield every combination."""
    for one in itertools.product(workers, threads, batch_records, padded_tokens, thin_s):
        yield Setting(*one)


@dataclass(frozen=True)
class Trial:
    """One open-loop run.

    Args:
        rate_per_s: Chats per second.
        p99_ms: Of the answered events.
        n_wrong: Lost, duplicated or dead-lettered events.
        generator_late_p99_ms: The generator's own delay.
        given_up: Ended early, because p99 could not hold any more.
        result: Everything that `run` returns.
    """

    rate_per_s: float
    p99_ms: float
    n_wrong: int
    generator_late_p99_ms: float
    given_up: bool
    result: dict[str, Any]

    def verdict(self, p99_ms: float) -> str:
        """Return `held`, or why the rate does not count as held: `wrong answers`, `generator` or `latency`."""
        if self.n_wrong:
            return "wrong answers"
        if self.generator_late_p99_ms > _LATE_RATIO * p99_ms:
            return "generator"
        return "latency" if self.given_up or self.p99_ms > p99_ms else "held"


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Args:
        p99_ms: The target.
        from_rate: First rate, chats/s.
        to_rate: Highest rate that is tried, chats/s.
        precision_ratio: How far apart, as a share, the highest rate that holds and the lowest that does not may be.
    """

    p99_ms: float
    from_rate: float = 20.0
    to_rate: float = 20_000.0
    precision_ratio: float = 0.05


@dataclass(frozen=True)
class Found:
    """What was found: the best trial, which held twice; None where no rate holds. And every trial on the way."""

    best: Trial | None
    trials: list[Trial]

    def limit(self, p99_ms: float) -> str:
        """Return what the lowest rate above the best one failed by; `not reached` where none failed."""
        best = self.best.rate_per_s if self.best else 0.0
        above = [one for one in self.trials if one.rate_per_s >= best and one.verdict(p99_ms) != "held"]
        return min(above, key=lambda one: one.rate_per_s).verdict(p99_ms) if above else "not reached"


def highest_rate(attempt: Callable[[float], Trial], search: Search) -> Found:
    """Find the highest rate that holds, within the precision.

    Args:
        attempt: Runs one trial at a rate.
        search: The target and the limits.
    """
    trials: list[Trial] = []

    def holds(rate: float) -> bool:
        trials.append(attempt(rate))
        return trials[-1].verdict(search.p99_ms) == "held"

    low, high = _bracket(holds, search)
    while low is not None and high is not None and high / low > 1 + search.precision_ratio:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if holds(middle) else (low, middle)
    n_more = 1
    while low is not None and not all(holds(low) for _ in range(n_more)):
        lower = low / (1 + search.precision_ratio)
        # A rate that was not tried before must hold twice by itself.
        low, n_more = (lower if lower >= _LEAST_RATE else None), 2
    return Found(None if low is None else trials[-1], trials)


def _bracket(holds: Callable[[float], bool], search: Search) -> tuple[float | None, float | None]:
    """Return a rate that holds and a higher one that does not; None for one that there is not."""
    rate = search.from_rate
    if holds(rate):
        while rate < search.to_rate:
            higher = min(2 * rate, search.to_rate)
            if not holds(higher):
                return rate, higher
            rate = higher
        return rate, None
    while rate / 2 >= _LEAST_RATE:
        rate /= 2
        if holds(rate):
            return rate, 2 * rate
    return None, rate


def is_hopeless(*, n_unanswered: int, rate_per_s: float, n_events: int, p99_ms: float) -> bool:
    """Say whether p99 of a constant load must miss its target, whatever comes.

    Of the events without an answer only as many as are sent within the target may be younger than it; where the others
    are more than a hundredth of the load, p99 is above the target.
    """
    return n_unanswered - rate_per_s * p99_ms / 1_000 > 0.01 * n_events + 1


def size(rate_per_s: float, setting: Setting, *, n_cpus: int, target_rate: float, sizing: Sizing) -> dict[str, Any]:
    """Return what a deployment for a target rate takes, from the rate that one setting holds.

    Args:
        rate_per_s: Highest rate that held, all workers together.
        setting: The setting.
        n_cpus: CPUs of the machine: workers with more threads than that share them.
        target_rate: Chats per second that the deployment is for.
        sizing: How busy pods may be, and the price of a vCPU.

    Returns:
        n_vcpus given to the workers, chats_per_s_per_vcpu, cost_per_million chats; replicas and n_partitions for the
        target, n_target_vcpus and cost_per_hour of those.
    """
    n_vcpus = min(setting.n_workers * setting.n_threads, n_cpus)
    per_pod = rate_per_s / setting.n_workers
    replicas = max(_LEAST_REPLICAS, math.ceil(target_rate / (per_pod * sizing.utilisation_ratio)))
    n_partitions = _PARTITIONS_PER_POD * replicas
    # The plan's own rule has the last word: whole partitions are all that a pod can have.
    replicas = max(_LEAST_REPLICAS, pods_for(target_rate, Fleet(per_pod, n_partitions), sizing.utilisation_ratio))
    vcpus_per_pod = n_vcpus / setting.n_workers
    return {
        "n_vcpus": n_vcpus,
        "chats_per_s_per_vcpu": round(rate_per_s / n_vcpus, 1),
        "cost_per_million": round(cost_per_million(rate_per_s, n_vcpus, sizing), 4),
        "target_rate": target_rate,
        "replicas": replicas,
        "n_partitions": n_partitions,
        "n_target_vcpus": round(replicas * vcpus_per_pod, 2),
        "cost_per_hour": round(replicas * vcpus_per_pod * sizing.price_per_vcpu_hour, 4),
    }
