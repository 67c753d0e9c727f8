"""Look through the output topics for one chat: where it must lie, and everywhere where that is not sure.

Verdicts and dead letters lie in the partition that murmur2 gives their key, which the worker's producer chooses. That
does not hold for a record without a key, nor for a topic that had fewer partitions once; and a dead letter has the key
that upstream gave its record, which may be another form of the chat id. So some records of every partition are looked
at first, and a topic where one of these shows is read whole.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from worker.errors import Fatal
from worker.explain.outcomes import ChatHistory, ChatOutcome, dead_letter_of, key_of, verdict_of
from worker.kafka.client import KafkaAdmin
from worker.kafka.config import consumer_config
from worker.kafka.errors import fatal_while
from worker.kafka.murmur2 import partition_of
from worker.kafka.partition_range import PartitionRange
from worker.kafka.ranges import Since, fix_ranges, missing_topics
from worker.kafka.topic_scan import ScannedRecord, scan
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings

Scan = Callable[[Sequence[PartitionRange]], Iterator[list[ScannedRecord]]]
"""Yields the committed records of ranges in steps."""

_SAMPLED: Final = 50
"""Offsets at the start of each partition that are looked at before the chat's own is read."""
_MOST_HASHED: Final = 20_000
"""Keys of a topic that are hashed; a key of 40 bytes takes some 5 µs."""
_OTHER_FORMS: Final = (b"\0", b'"', b"{")
"""What a key begins with that is framed or JSON, and not the bare chat id (`schemas.chat_of_key`)."""


class Stopped(Exception):  # noqa: N818  the name says what happened
    """The lifecycle said stop."""


@dataclass
class Placement:
    """Whether the records of a topic lie where their keys say."""

    n_partitions: int
    n_keyless: int = 0
    n_other_forms: int = 0
    n_misplaced: int = 0
    n_hashed: int = 0

    def see(self, key: bytes | None, partition: int) -> None:
        """Take one record."""
        if key is None:
            self.n_keyless += 1
        elif key.startswith(_OTHER_FORMS):
            self.n_other_forms += 1
        elif self.n_hashed < _MOST_HASHED:
            self.n_hashed += 1
            self.n_misplaced += partition_of(key, self.n_partitions) != partition

    @property
    def problem(self) -> str | None:
        """Why the chat's records may lie in any partition; None where nothing speaks for it."""
        if self.n_keyless:
            return "it holds records without a key"
        if self.n_other_forms:
            return "it holds keys that are no bare chat ids"
        if self.n_misplaced:
            return "it holds keys in other partitions than murmur2 gives them"
        return None


@dataclass
class TopicLook:
    """What was looked through in one topic."""

    topic: str
    partition: int
    """Where murmur2 puts the chat."""
    ranges: tuple[PartitionRange, ...]
    """Of all partitions."""
    whole_because: str | None = None
    """Why all partitions were read; None where one was."""
    read: list[int] = field(default_factory=list)
    """Partitions that were read."""
    n_records: int = 0
    placement: Placement = field(init=False)

    def __post_init__(self) -> None:
        """Derive the placement from what there is."""
        self.placement = Placement(len(self.ranges))

    @property
    def of_the_chat(self) -> list[PartitionRange]:
        """The range of the chat's own partition."""
        return [one for one in self.ranges if one.partition == self.partition]

    @property
    def others(self) -> list[PartitionRange]:
        """The ranges of the other partitions."""
        return [one for one in self.ranges if one.partition != self.partition]


def topic_looks(
    admin: KafkaAdmin, settings: KafkaSettings, chat_id: str, *, since_ms: int | None, until_ms: int | None
) -> list[TopicLook]:
    """Return what there is to look through: committed records, up to where the partitions end now.

    Raises:
        Fatal: the brokers do not answer, or a topic is missing.
    """
    topics = (settings.verdict_topic, settings.dead_letter_topic)
    timeout_s = settings.request_timeout_s
    with fatal_while(f"fixing the offsets of {', '.join(topics)}"):
        if missing := missing_topics(admin, topics, timeout_s=timeout_s):
            raise Fatal(
                f"Kafka lacks the topics {', '.join(missing)}; expected verdicts and dead letters in {topics}; "
                "check the topic settings and the rights on them"
            )
        ranges = {
            topic: fix_ranges(admin, Since((topic,), since_ms, until_ms), {}, timeout_s=timeout_s) for topic in topics
        }
    key = key_of(chat_id)
    return [TopicLook(topic, partition_of(key, len(ranges[topic])), ranges[topic]) for topic in topics]


def scan_of(settings: KafkaSettings) -> Scan:
    """Return what yields the committed records of ranges in steps; raises Fatal where the brokers stay silent."""
    # Assigned by hand it joins no group; the name is there for the brokers' access lists.
    config: dict[str, Any] = consumer_config(settings) | {"group.id": f"{settings.group_id}.explain"}
    config.pop("group.instance.id", None)
    return partial(scan, config, timeout_s=settings.request_timeout_s)


class ChatSearch:
    """Looks for one chat.

    Args:
        chat_id: The chat.
        settings: Names and limits.
        history: Takes what is found.
        scan: Reads ranges.
        stopping: True where the search must end.
        progressed: Told of so many more records behind the search.
        more_to_read: Told of so many more offsets before it.
    """

    def __init__(
        self,
        chat_id: str,
        settings: WorkerSettings,
        history: ChatHistory,
        *,
        scan: Scan,
        stopping: Callable[[], bool],
        progressed: Callable[[int], None] = lambda _: None,
        more_to_read: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._chat_id = chat_id
        self._settings = settings
        self._history = history
        self._scan = scan
        self._stopping = stopping
        self._progressed = progressed
        self._more_to_read = more_to_read

    def run(self, looks: Iterable[TopicLook], *, everywhere: bool = False) -> None:
        """Look through topics.

        Args:
            looks: What there is; what was read is noted in them.
            everywhere: Read all partitions of every topic.

        Raises:
            Fatal: Kafka cannot be read.
            Stopped: the search must end; what was found stays in the history.
        """
        for look in looks:
            if everywhere:
                look.whole_because = "--all-partitions"
                self._read(look, look.ranges)
                continue
            self._sample(look)
            self._read(look, look.of_the_chat)
            look.whole_because = look.placement.problem
            if look.whole_because is not None:
                self._read(look, look.others)

    def _sample(self, look: TopicLook) -> None:
        starts = [one.model_copy(update={"end": min(one.end, one.start + _SAMPLED)}) for one in look.others]
        for records in self._steps(starts):
            for record in records:
                look.placement.see(record.key, record.partition)

    def _read(self, look: TopicLook, ranges: Sequence[PartitionRange]) -> None:
        self._more_to_read(sum(one.n_offsets for one in ranges))
        look.read += [one.partition for one in ranges]
        is_verdict = look.topic == self._settings.kafka.verdict_topic
        for records in self._steps(ranges):
            for record in records:
                look.placement.see(record.key, record.partition)
                found = self._found(record, is_verdict=is_verdict)
                if found is not None:
                    self._history.add(found)
            look.n_records += len(records)
            self._progressed(len(records))

    def _found(self, record: ScannedRecord, *, is_verdict: bool) -> ChatOutcome | None:
        if is_verdict:
            return verdict_of(record, self._chat_id)
        return dead_letter_of(record, self._chat_id, self._settings.codec, self._settings.kafka.value_format)

    def _steps(self, ranges: Sequence[PartitionRange]) -> Iterator[list[ScannedRecord]]:
        for records in self._scan(ranges):
            if self._stopping():
                raise Stopped
            yield records
