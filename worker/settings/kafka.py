"""How the worker reaches Kafka: topics, group, delivery and limits; how it connects is `kafka_connection`'s.

Times are in seconds, sizes in bytes.
"""

from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, field_validator, model_validator

from schemas import ValueFormat
from schemas.verdict_headers import MAX_SOURCE_CHARACTERS, VerdictHeaders
from worker.kafka.forwarded_headers import forwarded_names
from worker.kafka.topic_name import topic_name
from worker.settings.kafka_connection import KafkaConnection
from worker.settings.section import MAX_S

_MAX_NAME: Final = 1_000
"""Longest name of a group, a member or a rack, in characters: a replay adds to them, and Kafka has two bytes for the
length of the whole."""
_MIN_S: Final = 0.01
"""Shortest time, seconds: a third of it, the pause between two heartbeats, is not 0 ms."""


_OPTIONAL_TOPICS: Final = (
    "policies_topic",
    "state_topic",
    "overrides_topic",
    "reviews_topic",
    "decisions_topic",
    "feedback_topic",
    "erasures_topic",
)
"""Settings of topics that are off until they are named."""


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


class LostOffsetsPolicy(StrEnum):
    """What becomes of a partition of which offsets are gone that the group had not read."""

    PAUSE = "pause"
    """It waits for a person, with an alarm; the others go on."""
    STOP = "stop"
    """The worker ends with exit code 3."""
    COUNT = "count"
    """The loss is counted and logged, and reading goes on behind it."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        """Take the names of before, too."""
        return {"error": cls.STOP, "earliest": cls.COUNT}.get(str(value))


class Compression(StrEnum):
    """How batches of verdicts and dead letters travel and lie on their topics."""

    LZ4 = "lz4"
    """Cheapest to write. kafkajs does not read it without a codec of its own."""
    GZIP = "gzip"
    """Read by every client without an addition."""
    ZSTD = "zstd"
    """Smallest of the quick ones; brokers from 2.1 on."""
    NONE = "none"


TopicName = Annotated[str, AfterValidator(topic_name)]


class KafkaSettings(KafkaConnection):
    """How the worker reaches Kafka."""

    comma_lists: ClassVar[frozenset[str]] = frozenset({"bootstrap_servers", "forward_headers"})

    input_topic: TopicName = Field(default="chat-events", description="Topic of ChatEvents.")
    verdict_topic: TopicName = Field(default="verdicts", description="Topic of Verdicts.")
    dead_letter_topic: TopicName = Field(default="chat-events.dlq", description="Topic of dead letters.")
    replay_topic: TopicName = Field(
        default="verdict-replays", description="Compacted topic of the ranges that replays have fixed."
    )
    changes_topic: TopicName = Field(
        default="verdict-changes", description="Topic of VerdictChanges, written by replays that compare."
    )
    shadow_topic: TopicName = Field(
        default="verdicts-shadow", description="Topic of a shadow bundle's Verdicts, where one is set."
    )
    policies_topic: TopicName | None = Field(
        default=None, description="Compacted topic of each policy's thresholds, `verdict-policies`; unset: not written."
    )
    state_topic: TopicName | None = Field(
        default=None,
        description="Compacted topic of what was decided on each chat, `verdict-state`, with as many partitions as the "
        "input topic; policies with hold_block_s need it. Unset: nothing is held.",
    )
    overrides_topic: TopicName | None = Field(
        default=None, description="Compacted topic of people's decisions, `verdict-overrides`; unset: none count."
    )
    reviews_topic: TopicName | None = Field(
        default=None,
        description="Topic of the decisions that ask for a person, `verdict-reviews`; unset: not written.",
    )
    decisions_topic: TopicName | None = Field(
        default=None,
        description="Append-only topic of what people decided, `verdict-decisions`; written with an override. Needs "
        "erasure.hash_key.",
    )
    feedback_topic: TopicName | None = Field(
        default=None, description="Topic of what callers report as wrong, `verdict-feedback`."
    )
    erasures_topic: TopicName | None = Field(
        default=None,
        description="Compacted topic of keyed hashes of erased chats, `verdict-erasures`; needs erasure.hash_key. "
        "Unset: training learns on from what is kept of an erased chat.",
    )
    group_id: str = Field(default="verdictstream", min_length=1, max_length=_MAX_NAME, description="Consumer group.")
    delivery: Delivery = Field(default=Delivery.EXACTLY_ONCE, description="exactly_once or at_least_once.")
    transactional_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=_MAX_NAME,
        description="Unique per running worker and, for the fastest recovery, the same after its restart; by default "
        "the group id, the host name and a random part.",
    )
    group_instance_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=_MAX_NAME,
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
        max_length=_MAX_NAME,
        description="Rack (availability zone) of this worker, as in broker.rack: it reads from a copy in its own rack, "
        "where the brokers use RackAwareReplicaSelector. Empty, as from a pod label that is not there: none.",
    )
    forward_headers: str = Field(
        default="",
        description="Headers of an event, comma-separated, that its verdict or dead letter carries too, beside "
        "traceparent and tracestate; 3,000 bytes of them at most.",
    )
    cloudevents_source: str | None = Field(
        default=None,
        min_length=1,
        max_length=MAX_SOURCE_CHARACTERS,
        pattern=r"^[!-~]+$",
        json_schema_extra={"form": "a URI reference of printable ASCII without blanks, such as /verdictstream"},
        description="Verdicts carry CloudEvents attributes as headers (ce_id and so on), with this URI reference as "
        "ce_source, /verdictstream say. Unset: they carry none.",
    )
    verdict_schema_guid: UUID | None = Field(
        default=None,
        description="Verdicts carry this GUID of their schema in the header __value_schema_id, as Confluent's "
        "deserialisers read it; `python -m schemas register` prints it. Unset: no such header.",
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
    lost_offsets: LostOffsetsPolicy = Field(
        default=LostOffsetsPolicy.PAUSE,
        description="Offsets that retention deleted before they were read. pause: that partition waits for a person, "
        "the others go on. stop (or error): exit non-zero. count (or earliest): count the loss, go on behind it.",
    )
    unreadable_after_s: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="Records that are there and cannot be read (an open transaction, a damaged batch) for longer: a "
        "warning, once a minute.",
    )
    transaction_timeout_s: float = Field(
        default=10.0, ge=1, le=MAX_S, description="The broker aborts a transaction that is open for longer."
    )
    session_timeout_s: float = Field(
        default=10.0,
        ge=_MIN_S,
        le=3_600,
        description="A silent worker loses its partitions after this. Unused with group_protocol=consumer: the group's "
        "consumer.session.timeout.ms on the broker (45 s by default) counts there.",
    )
    max_poll_interval_s: float = Field(
        default=300.0,
        ge=_MIN_S,
        le=86_400,
        description="A worker that does not poll for longer loses its partitions.",
    )
    request_timeout_s: float = Field(
        default=15.0,
        ge=_MIN_S,
        le=3_600,
        description="Longest wait for one answer (metadata, committed offsets, a transaction step).",
    )
    unreachable_exit_s: float = Field(
        default=1_800.0,
        gt=0,
        le=MAX_S,
        description="No broker answers for longer: exit non-zero; until then it is waited for. A start that reaches "
        "none at all exits after request_timeout_s.",
    )
    prefetch_max_bytes: int = Field(
        default=1_500_000,
        ge=1_000_000,
        le=2_147_483_135,
        description="Fetched records that wait in memory before more are fetched.",
    )
    partition_fetch_max_bytes: int = Field(
        default=32_000,
        ge=1_000,
        le=1_000_000_000,
        description="Compressed records of one partition in one fetch, one batch at least. What they unpack to, a "
        "thousand times that at worst, must fit in memory. A partition gives no more per round trip: raise it where "
        "the brokers are more than 10 ms away and the producers are trusted.",
    )

    @field_validator("forward_headers")
    @classmethod
    def _headers_can_be_forwarded(cls, names: str) -> str:
        forwarded_names(names)
        return names

    @property
    def verdict_headers(self) -> VerdictHeaders:
        """What verdicts carry beside the headers that are forwarded."""
        return VerdictHeaders(self.cloudevents_source, self.verdict_schema_guid)

    @model_validator(mode="after")
    def _headers_have_one_writer(self) -> Self:
        if taken := [name for name in forwarded_names(self.forward_headers) if self.verdict_headers.writes(name)]:
            raise ValueError(
                f"forward_headers names {', '.join(taken)}, which cloudevents_source or verdict_schema_guid makes the "
                "worker write itself; leave them out of forward_headers, or unset that"
            )
        return self

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
        opted = {name: getattr(self, name) for name in _OPTIONAL_TOPICS if getattr(self, name) is not None}
        taken = [*topics, self.shadow_topic, self.replay_topic, self.changes_topic]
        for name, topic in opted.items():
            if topic in taken:
                raise ValueError(f"{name} is {topic!r}, which another setting names; expected a topic of its own")
            taken.append(topic)
        return self

    @model_validator(mode="after")
    def _sessions_fit_the_poll_interval(self) -> Self:
        if self.group_protocol is GroupProtocol.CLASSIC and self.session_timeout_s > self.max_poll_interval_s:
            raise ValueError(
                f"session_timeout_s={self.session_timeout_s:g} is above max_poll_interval_s="
                f"{self.max_poll_interval_s:g}, which the Kafka client refuses; lower the first or raise the second"
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
