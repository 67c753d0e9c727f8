"""How the worker reaches Kafka: topics, group, delivery and limits; how it connects is `kafka_connection`'s.

Times are in seconds, sizes in bytes.
"""

from enum import StrEnum
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from schemas import ValueFormat
from worker.kafka.forwarded_headers import forwarded_names
from worker.settings.kafka_connection import KafkaConnection


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
    value_format: ValueFormat = Field(
        default=ValueFormat.JSON,
        description="What the values of the input topic are: json, or a chat event in an envelope: confluent_json, "
        "debezium, cloudevents; a record without the envelope is read as it is.",
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
