"""What a worker's /metrics say of where its time goes. Pure.

Two views of the same stages. Cost: what a stage took, per event of the run; it tells what a faster stage would save in
CPUs. Latency: how long the average event was in a stage; every event of a batch waits for the whole batch, so that this
is larger, and the views differ most where batches are large.
"""

from dataclasses import dataclass, field
from typing import Final, Self

from prometheus_client.parser import text_string_to_metric_families

STAGES: Final = (
    "wait",
    "decode",
    "cache_get",
    "tokenize",
    "infer",
    "commit_wait",
    "cache_put",
    "publish",
    "commit",
)
"""In the order in which an event goes through them."""

REST: Final = "rest"


@dataclass(frozen=True)
class WorkerCounters:
    """Counts since the worker began.

    Args:
        stage_s: Seconds in each stage; commit without publish.
        record_stage_s: The same, times the records that were in it; wait included.
        n_tokens: Tokens classified, without padding.
        n_padded_tokens: Tokens computed.
    """

    stage_s: dict[str, float] = field(default_factory=dict)
    record_stage_s: dict[str, float] = field(default_factory=dict)
    n_tokens: float = 0.0
    n_padded_tokens: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the Prometheus text format; what a worker does not report is left out."""
        stage_s: dict[str, float] = {}
        record_s: dict[str, float] = {}
        tokens: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                match sample.name:
                    case "moderation_stage_duration_seconds_sum":
                        stage_s[sample.labels["stage"]] = sample.value
                    case "moderation_commit_duration_seconds_sum":
                        stage_s["commit"] = sample.value
                    case "moderation_record_stage_seconds_total":
                        record_s[sample.labels["stage"]] = sample.value
                    case "moderation_tokens_total" | "moderation_padded_tokens_total":
                        tokens[sample.name] = sample.value
        # The transaction is measured as a whole, and publishing is its first part.
        if "commit" in stage_s:
            stage_s["commit"] -= stage_s.get("publish", 0.0)
        if "transaction" in record_s:
            record_s["commit"] = record_s.pop("transaction") - record_s.get("publish", 0.0)
        return cls(
            stage_s,
            record_s,
            tokens.get("moderation_tokens_total", 0.0),
            tokens.get("moderation_padded_tokens_total", 0.0),
        )

    def since(self, earlier: "WorkerCounters") -> "WorkerCounters":
        """Return what was counted between two readings."""
        return WorkerCounters(
            {stage: value - earlier.stage_s.get(stage, 0.0) for stage, value in self.stage_s.items()},
            {stage: value - earlier.record_stage_s.get(stage, 0.0) for stage, value in self.record_stage_s.items()},
            self.n_tokens - earlier.n_tokens,
            self.n_padded_tokens - earlier.n_padded_tokens,
        )

    def plus(self, other: "WorkerCounters") -> "WorkerCounters":
        """Return the sum over two workers."""
        return WorkerCounters(
            {stage: self.stage_s.get(stage, 0.0) + other.stage_s.get(stage, 0.0) for stage in STAGES},
            {stage: self.record_stage_s.get(stage, 0.0) + other.record_stage_s.get(stage, 0.0) for stage in STAGES},
            self.n_tokens + other.n_tokens,
            self.n_padded_tokens + other.n_padded_tokens,
        )

    @property
    def padding_ratio(self) -> float:
        """Share of the computed tokens that was padding, 0 to 1; 0 where nothing was computed."""
        return 1 - self.n_tokens / self.n_padded_tokens if self.n_padded_tokens else 0.0


def cost_us(counters: WorkerCounters, n_events: int) -> dict[str, float]:
    """Return what each stage took per event, microseconds; waiting costs nothing."""
    return {
        stage: round(1e6 * counters.stage_s.get(stage, 0.0) / max(1, n_events), 1)
        for stage in STAGES
        if stage != "wait"
    }


def latency_ms(counters: WorkerCounters, n_events: int, mean_latency_ms: float) -> dict[str, float]:
    """Return how long the average event was in each stage, milliseconds, and the rest of its latency.

    The rest is the way to the broker and back to the reader, building verdicts, and the generator's own delay. Waiting
    is the difference of two wall clocks in whole milliseconds.
    """
    parts = {stage: 1e3 * counters.record_stage_s.get(stage, 0.0) / max(1, n_events) for stage in STAGES}
    parts[REST] = max(0.0, mean_latency_ms - sum(parts.values()))
    return {stage: round(value, 2) for stage, value in parts.items()}
