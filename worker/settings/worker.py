"""Everything the worker is told; read once in `__main__`, frozen, passed by hand from there on.

Environment names start with MODERATION_, nested names take two underscores (MODERATION_KAFKA__GROUP_ID). Times are in
seconds, sizes in bytes.
"""

from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from model import DEFAULT_BUNDLE_PATH, DEFAULT_TIMEOUT_S, LONGEST_STALL
from schemas import CodecLimits
from worker.kafka.forwarded_headers import forwarded_names
from worker.settings.kafka_connection import KafkaConnection
from worker.settings.redis import RedisSettings
from worker.settings.section import Section


class Delivery(StrEnum):
    """What happens to a batch when the worker dies in the middle of it."""

    EXACTLY_ONCE = "exactly_once"
    """Verdicts, dead letters and offsets commit in one transaction."""
    AT_LEAST_ONCE = "at_least_once"
    """Offsets commit after every verdict is acknowledged; a crash in between repeats verdicts (same verdict_id)."""


class GroupProtocol(StrEnum):
    """How the members of the consumer group share the partitions."""

    CLASSIC = "classic"
    """The members do, by cooperative-sticky; any Kafka from 2.5 on."""
    CONSUMER = "consumer"
    """The broker does (KIP-848); Kafka 4.0 and newer."""


class Compression(StrEnum):
    """How batches of verdicts and dead letters travel and lie on their topics."""

    LZ4 = "lz4"
    """Cheapest to write. kafkajs does not read it without a codec of its own."""
    GZIP = "gzip"
    """Read by every client without an addition."""
    ZSTD = "zstd"
    """Smallest of the quick ones; brokers from 2.1 on."""
    NONE = "none"


class KafkaSettings(KafkaConnection):
    """How the worker reaches Kafka."""

    input_topic: str = Field(default="chat-events", min_length=1, description="Topic of ChatEvents.")
    verdict_topic: str = Field(default="verdicts", min_length=1, description="Topic of Verdicts.")
    dead_letter_topic: str = Field(default="chat-events.dlq", min_length=1, description="Topic of dead letters.")
    replay_topic: str = Field(
        default="verdict-replays", min_length=1, description="Compacted topic of the ranges that replays have fixed."
    )
    changes_topic: str = Field(
        default="verdict-changes", min_length=1, description="Topic of VerdictChanges, written by replays that compare."
    )
    shadow_topic: str = Field(
        default="verdicts-shadow", min_length=1, description="Topic of a shadow bundle's Verdicts, where one is set."
    )
    group_id: str = Field(default="verdictstream", min_length=1, description="Consumer group.")
    delivery: Delivery = Field(default=Delivery.EXACTLY_ONCE, description="exactly_once or at_least_once.")
    transactional_id: str | None = Field(
        default=None,
        min_length=1,
        description="Unique per running worker and, for the fastest recovery, the same after its restart; by default "
        "the group id, the host name and a random part.",
    )
    group_instance_id: str | None = Field(
        default=None,
        min_length=1,
        description="Static membership: a name that is this worker's alone and the same after its restart, which then "
        "moves no partition if it takes less than session_timeout_s. For StatefulSets only.",
    )
    group_protocol: GroupProtocol = Field(
        default=GroupProtocol.CLASSIC,
        description="classic: cooperative-sticky. consumer: KIP-848, for Kafka 4.0 and newer; the broker assigns.",
    )
    group_remote_assignor: Literal["uniform", "range"] | None = Field(
        default=None, description="The broker's assignor for group_protocol=consumer; by default the broker chooses."
    )
    client_rack: str | None = Field(
        default=None,
        description="Rack (availability zone) of this worker, as in broker.rack: it reads from a copy in its own rack, "
        "where the brokers use RackAwareReplicaSelector. Empty, as from a pod label that is not there: none.",
    )
    forward_headers: str = Field(
        default="",
        description="Headers of an event, comma-separated, that its verdict or dead letter carries too, beside "
        "traceparent and tracestate; 3,000 bytes of them at most.",
    )
    compression: Compression = Field(
        default=Compression.LZ4,
        description="Codec of all that the worker writes: lz4, gzip, zstd or none. kafkajs needs gzip or none.",
    )
    offset_reset: Literal["earliest", "latest"] = Field(
        default="earliest", description="Where a group without a committed offset starts."
    )
    lost_offsets: Literal["error", "earliest"] = Field(
        default="error",
        description="Committed offset already deleted by retention: stop and say how many records are lost, or say so "
        "and go on at the earliest record left.",
    )
    transaction_timeout_s: float = Field(
        default=10.0, gt=0, description="The broker aborts a transaction that is open for longer."
    )
    session_timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="A silent worker loses its partitions after this. Unused with group_protocol=consumer: the group's "
        "consumer.session.timeout.ms on the broker (45 s by default) counts there.",
    )
    max_poll_interval_s: float = Field(
        default=300.0,
        gt=0,
        description="A worker that does not poll for longer loses its partitions.",
    )
    request_timeout_s: float = Field(
        default=15.0,
        gt=0,
        description="Longest wait for one answer (metadata, committed offsets, a transaction step).",
    )
    unreachable_exit_s: float = Field(default=300.0, gt=0, description="Kafka out of reach for longer: exit non-zero.")
    prefetch_max_bytes: int = Field(
        default=1_500_000,
        ge=1_000_000,
        description="Fetched records that wait in memory before more are fetched.",
    )
    partition_fetch_max_bytes: int = Field(
        default=32_000,
        ge=1_000,
        description="Compressed records of one partition in one fetch, one batch at least. What they unpack to, a "
        "thousand times that at worst, must fit in memory. A partition gives no more per round trip: raise it where "
        "the brokers are more than 10 ms away and the producers are trusted.",
    )

    @field_validator("forward_headers")
    @classmethod
    def _headers_can_be_forwarded(cls, names: str) -> str:
        forwarded_names(names)
        return names

    @model_validator(mode="after")
    def _topics_differ(self) -> Self:
        topics = [self.input_topic, self.verdict_topic, self.dead_letter_topic]
        if len(set(topics)) != len(topics):
            raise ValueError(
                f"input_topic, verdict_topic and dead_letter_topic are {topics}; expected three different topics, "
                "or the worker would read what it writes"
            )
        if self.shadow_topic in topics:
            raise ValueError(
                f"shadow_topic is {self.shadow_topic!r}, one of {topics}; expected a topic of its own, or "
                "verdicts that nobody promoted would reach the ad pipeline"
            )
        return self

    @model_validator(mode="after")
    def _assignor_matches_the_group_protocol(self) -> Self:
        if self.group_remote_assignor is not None and self.group_protocol is GroupProtocol.CLASSIC:
            raise ValueError(
                f"group_remote_assignor={self.group_remote_assignor} is set but group_protocol=classic would not use "
                "it; expected group_protocol=consumer; set that, or remove the assignor"
            )
        return self


class ModelSettings(Section):
    """The classifier."""

    path: Path = Field(default=DEFAULT_BUNDLE_PATH, description="Bundle folder, or a registry.")
    policy_path: Path | None = Field(default=None, description="Policy file; by default the built-in policy.")
    public_key_file: Path | None = Field(
        default=None,
        description="Ed25519 public key, PEM: bundles, a shadow's and a replay's too, are loaded from registries only, "
        "and only where its private key has signed them. Unset: no signature is asked for.",
    )
    reload_interval_s: float = Field(
        default=5.0,
        ge=0,
        description="How often bundle and policy are looked at for a change, which is taken over between two batches; "
        "0: only on SIGHUP.",
    )
    n_threads: int = Field(default=0, ge=0, description="Inference threads; 0 follows the cgroup's CPU quota.")
    max_padded_tokens: int = Field(default=256, gt=0, description="Token budget of one inference, padding included.")
    max_rows: int = Field(default=64, gt=0, description="Row limit of one inference.")
    timeout_s: float = Field(
        default=DEFAULT_TIMEOUT_S,
        gt=0,
        description="A longer inference is ended; each of its rows is tried once more, alone, and then dead-lettered.",
    )


class ShadowSettings(Section):
    """A second bundle that judges the same chats for a topic of its own; live verdicts never wait for it."""

    model_path: Path | None = Field(default=None, description="Bundle folder, or a registry; unset: no shadow.")
    policy_path: Path | None = Field(default=None, description="Policy file; by default the live one.")
    sample_ratio: float = Field(
        default=1.0, gt=0, le=1, description="Share of the classified chats that the shadow judges, chosen by content."
    )
    queue_records: int = Field(default=1_000, gt=0, description="Chats that wait for the shadow; more are dropped.")
    queue_max_bytes: int = Field(
        default=16_000_000, ge=1_000_000, description="Bytes of events that wait for the shadow; more are dropped."
    )


class BatchSettings(Section):
    """How many records are taken at once."""

    max_records: int = Field(default=1000, gt=0, description="Record limit of one batch and of its transaction.")
    max_bytes: int = Field(
        default=8_000_000,
        ge=1_000_000,
        description="Byte limit of one batch, as its records are estimated to take decoded.",
    )
    thin_s: float = Field(default=0.1, gt=0, description="Intended time of a batch while the worker keeps up.")
    lagging_s: float = Field(default=1.0, gt=0, description="Intended time of a batch while records queue up.")

    @model_validator(mode="after")
    def _lagging_is_longer(self) -> Self:
        if self.lagging_s < self.thin_s:
            raise ValueError(f"lagging_s={self.lagging_s} is below thin_s={self.thin_s}; expected at least as much")
        return self


class HttpSettings(Section):
    """/livez, /readyz and /metrics."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; 0.0.0.0 in a pod.")
    port: int = Field(default=0, ge=0, le=65_535, description="Port; 0 = off.")
    stalled_after_s: float = Field(
        default=120.0, gt=0, description="/livez fails when the loop has not come round for longer."
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
    )

    kafka: KafkaSettings
    redis: RedisSettings = RedisSettings()
    model: ModelSettings = ModelSettings()
    shadow: ShadowSettings = ShadowSettings()
    batch: BatchSettings = BatchSettings()
    codec: CodecLimits = CodecLimits()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    shutdown_grace_s: float = Field(
        default=25.0,
        gt=0,
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
