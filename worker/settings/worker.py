"""Everything the worker is told; read once in `__main__`, frozen, passed by hand from there on.

Environment names start with MODERATION_, nested names take two underscores (MODERATION_KAFKA__GROUP_ID). Times are in
seconds, sizes in bytes.
"""

from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from model import LONGEST_STALL
from schemas import CodecLimits
from worker.settings.batch import BatchSettings
from worker.settings.erasure import ErasureSettings
from worker.settings.kafka import KafkaSettings
from worker.settings.lists import ListSettings
from worker.settings.model import ModelSettings
from worker.settings.overrides import OverrideSettings
from worker.settings.redis import RedisSettings
from worker.settings.section import MAX_S, Section
from worker.settings.shadow import ShadowSettings
from worker.settings.tracing import TracingSettings


class HttpSettings(Section):
    """/livez, /readyz and /metrics."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 in a pod.")
    port: int = Field(default=0, ge=0, le=65_535, description="Port; 0 = off.")
    stalled_after_s: float = Field(
        default=120.0,
        gt=0,
        le=MAX_S,
        description="/livez fails when the loop has not come round for longer. Waiting for Kafka does not count.",
    )
    uncommitted_after_s: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="/readyz fails when nothing could be committed for longer though there was something to commit.",
    )
    exit_linger_s: float = Field(
        default=15.0,
        ge=0,
        le=600,
        description="Before exit code 3 the port stays open for so long, one scrape interval. SIGTERM ends it at once.",
    )


class LogSettings(Section):
    """JSON lines on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level written."
    )


class WorkerSettings(BaseSettings):
    """Everything the worker is told; `worker.settings.source.read_settings` builds it and refuses unknown names."""

    model_config = SettingsConfigDict(
        env_prefix="MODERATION_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        case_sensitive=False,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    kafka: KafkaSettings
    redis: RedisSettings = RedisSettings()
    model: ModelSettings = ModelSettings()
    shadow: ShadowSettings = ShadowSettings()
    batch: BatchSettings = BatchSettings()
    codec: CodecLimits = CodecLimits()
    erasure: ErasureSettings = ErasureSettings()
    overrides: OverrideSettings = OverrideSettings()
    lists: ListSettings = ListSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    tracing: TracingSettings = TracingSettings()
    shutdown_grace_s: float = Field(
        default=25.0,
        gt=0,
        le=MAX_S,
        description="After SIGTERM: longest time to finish the batch in hand; then exit non-zero.",
    )

    @model_validator(mode="after")
    def _batches_fit_the_poll_interval(self) -> Self:
        if self.batch.lagging_s > self.kafka.max_poll_interval_s / 2:
            raise ValueError(
                f"batch.lagging_s={self.batch.lagging_s} must be at most half of kafka.max_poll_interval_s="
                f"{self.kafka.max_poll_interval_s}, or a slow batch gets the worker evicted; "
                "lower the first or raise the second"
            )
        return self

    @model_validator(mode="after")
    def _hashed_chats_have_a_key(self) -> Self:
        topics = [name for name in ("erasures_topic", "decisions_topic") if getattr(self.kafka, name) is not None]
        if topics and not self.erasure.hash_keys:
            raise ValueError(
                f"kafka.{topics[0]} is set without erasure.hash_key, by which it names chats; expected both; set "
                "erasure.hash_key_file, the same for all parts of the deployment"
            )
        return self

    @model_validator(mode="after")
    def _stalls_fit_the_poll_interval(self) -> Self:
        """A model in a loop must cost its rows and not the worker: the worst batch has to end before either limit."""
        stall_s = LONGEST_STALL * self.model.timeout_s
        limits = {
            "half of kafka.max_poll_interval_s": self.kafka.max_poll_interval_s / 2,
            "http.stalled_after_s": self.http.stalled_after_s,
        }
        for name, limit_s in limits.items():
            if stall_s > limit_s:
                raise ValueError(
                    f"model.timeout_s={self.model.timeout_s} lets one batch stall for {stall_s:g} s ({LONGEST_STALL} "
                    f"times as long); expected at most {name}={limit_s:g}; lower the first or raise the second"
                )
        return self
