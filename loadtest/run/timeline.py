"""A run second by second, and how long it took to recover from a burst. Pure.

Latencies belong to the second in which their event was *meant* to be sent: a stall shows in the seconds it hit.
"""

import itertools
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
"""Seconds after the start of the load; not a number where there is no such time."""

RECOVERED_STRETCHES: Final = 3
"""So many stretches in a row must be under the limit, so that a lucky second is no recovery."""

_STRETCH_S: Final = 1.0


@dataclass(frozen=True)
class WorkerSeries:
    """What one worker took, over time.

    Args:
        at_s: When it was looked at.
        rss_mb: Resident memory then, MB.
        cpu_s: CPU seconds since it began.
    """

    at_s: Seconds
    rss_mb: Seconds
    cpu_s: Seconds


def timeline(due_s: Seconds, answered_s: Seconds, workers: list[WorkerSeries]) -> dict[str, list[float | None]]:
    """Return columns with one value per second, from the first event to the last answer.

    Args:
        due_s: When each event was due.
        answered_s: When its first answer was seen.
        workers: The workers over time.

    Returns:
        second; sent and answered events; p50_ms and p99_ms of the events due in it (none: no answered event);
        unanswered: events due so far and not answered at its end, the group's lag as a subscriber sees it; rss_mb: the
        largest worker; cpu_cores: all of them.
    """
    end = max(np.nanmax(due_s, initial=0.0), np.nanmax(answered_s, initial=0.0))
    edges = np.arange(0.0, np.floor(end) + 2)
    sent, _ = np.histogram(due_s, edges)
    answered, _ = np.histogram(answered_s[np.isfinite(answered_s)], edges)
    latencies = _by_stretch(due_s, answered_s, edges)
    return {
        "second": edges[:-1].tolist(),
        "sent": sent.tolist(),
        "answered": answered.tolist(),
        "p50_ms": [_percentile_ms(one, 50) for one in latencies],
        "p99_ms": [_percentile_ms(one, 99) for one in latencies],
        "unanswered": (np.cumsum(sent) - np.cumsum(answered)).tolist(),
        "rss_mb": np.round(_largest_rss_mb(workers, edges[1:]), 1).tolist(),
        "cpu_cores": np.round(sum(np.diff(np.interp(edges, one.at_s, one.cpu_s)) for one in workers), 2).tolist()
        if workers
        else [],
    }


def recovery(due_s: Seconds, answered_s: Seconds, *, burst_s: tuple[float, float], limit_ms: float) -> dict[str, Any]:
    """Return how long after the end of a burst p99 is back under a limit, over stretches of one second from that end.

    A lost event counts as one that is never answered. A stretch without an event breaks no limit.

    Returns:
        recovery_s: Seconds from the end of the burst to the first of three stretches in a row under the limit (none:
            there are no such three before the load ends); burst_p99_ms: of the events of the burst, none where more
            than 1 % of them are lost; n_stretches_over_later: stretches over the limit after the recovery, else all.
    """
    start, end = burst_s
    last_due = float(due_s.max(initial=0.0))
    edges = np.arange(end, last_due + _STRETCH_S, _STRETCH_S)
    stretches = [_p99_with_lost(one) for one in _by_stretch(due_s, answered_s, edges)]
    good = [p99 is None or p99 <= limit_ms for p99 in stretches]
    starts = (
        i for i in range(len(good)) if len(good[i:]) >= RECOVERED_STRETCHES and all(good[i : i + RECOVERED_STRETCHES])
    )
    recovered = next(starts, None)
    (burst,) = _by_stretch(due_s, answered_s, np.array([start, end]))
    burst_p99 = _p99_with_lost(burst)
    return {
        "burst_s": [start, end],
        "limit_ms": limit_ms,
        "recovery_s": None if recovered is None else recovered * _STRETCH_S,
        "burst_p99_ms": None if burst_p99 is None or not np.isfinite(burst_p99) else burst_p99,
        "n_stretches_over_later": sum(not one for one in good[recovered or 0 :]),
    }


def _by_stretch(due_s: Seconds, answered_s: Seconds, edges: Seconds) -> list[Seconds]:
    """Return the latencies of the events due between each edge and the next, ms; lost ones are not numbers."""
    order = np.argsort(due_s, kind="stable")
    places = np.searchsorted(due_s[order], edges)
    latency_ms = 1_000 * (answered_s - due_s)[order]
    return [latency_ms[low:high] for low, high in itertools.pairwise(places)]


def _percentile_ms(latencies: Seconds, percent: float) -> float | None:
    known = latencies[np.isfinite(latencies)]
    if not len(known):
        return None
    # An event's own latency, never a mean of two.
    return round(float(np.percentile(known, percent, method="higher")), 2)


def _p99_with_lost(latencies: Seconds) -> float | None:
    if not len(latencies):
        return None
    return round(float(np.percentile(np.nan_to_num(latencies, nan=np.inf), 99, method="higher")), 2)


def _largest_rss_mb(workers: list[WorkerSeries], at_s: Seconds) -> Seconds:
    if not workers:
        return np.array([])
    return np.asarray(np.max([np.interp(at_s, one.at_s, one.rss_mb) for one in workers], axis=0), dtype=np.float64)
