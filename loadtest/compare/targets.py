"""What a comparison should show, and whether it does. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True)
class Target:
    """One figure and its limit."""

    name: str
    limit: float
    is_least: bool
    """Whether the figure must be at least the limit; otherwise below it."""
    what: str

    @property
    def words(self) -> str:
        """The limit in words."""
        return f"{'≥' if self.is_least else '<'} {self.limit:g}"

    def is_met(self, value: float) -> bool:
        """Whether a value keeps the limit."""
        return value >= self.limit if self.is_least else value < self.limit


TARGETS: Final = (
    Target("worker_vs_session", 0.97, is_least=True, what="cache off, over the same classifier called in process"),
    Target("cpu_vs_session", 0.95, is_least=True, what="CPU per chat of that classifier over the worker's"),
    Target("worker_vs_reference", 40, is_least=True, what="cache off, over DistilBERT-base INT8 padded to 512"),
    Target("hits_vs_bare_loop", 0.7, is_least=True, what="all cached, over poll, MGET, produce, commit"),
    Target(
        "worker_vs_best_peer", 1, is_least=True, what="cache off, over each pair's fastest peer, of fewer guarantees"
    ),
    Target("hits_vs_misses", 10, is_least=True, what="all cached, over cache off"),
    Target("p99_half_load_ms", 100, is_least=False, what="open loop, cache off, half of the rate above"),
    Target("lone_p99_ms", 50, is_least=False, what="one chat at a time on an idle worker"),
    Target("worker_rss_mb", 400, is_least=False, what="largest seen"),
    Target("start_to_ready_s", 2, is_least=False, what="median; bundle cached"),
)


def judged(result: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return, for each target that was measured, its limit and whether it is met."""
    return {
        target.name: {"limit": target.words, "met": target.is_met(value)}
        for target in TARGETS
        if (value := result[target.name]) is not None
    }
