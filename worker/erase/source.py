"""What the worker does besides where upstream asks that a chat be forgotten: it puts the chat on the list of erased."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from schemas.erasure import Erasure, chat_hash, encode_erasure
from worker.decide import ContextSource
from worker.kafka.client import KafkaAdmin
from worker.kafka.control_topic import check_is_compacted
from worker.kafka.topic_check import WRITE, Uses
from worker.outcome_encoding import OutgoingMessage
from worker.record import Row, erased_chat
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings


def erasure_topics(settings: KafkaSettings) -> Uses:
    """Return what a worker does with the list of erased chats, where the settings name one."""
    return {} if settings.erasures_topic is None else {settings.erasures_topic: WRITE}


def check_list_is_kept(settings: KafkaSettings, admin: KafkaAdmin) -> None:
    """Check that the list of erased chats forgets none, where the settings name one.

    Raises:
        Fatal: its topic deletes records by age.
    """
    if settings.erasures_topic is not None:
        check_is_compacted(
            admin,
            settings.erasures_topic,
            timeout_s=settings.request_timeout_s,
            lost="erased chats come back into training",
        )


def erasure_sources(settings: WorkerSettings) -> list[ContextSource]:
    """Return what writes the list of erased chats, where the settings name one."""
    topic = settings.kafka.erasures_topic
    return [] if topic is None else [ErasureSource(topic, settings.erasure.hash_keys[0])]


class ErasureSource(ContextSource):
    """Writes the list of erased chats, in the transaction of the tombstone.

    Args:
        topic: Of the list.
        key: Makes the hash that stands for a chat.
        now: The clock, for a tombstone without a time of its own.
    """

    def __init__(self, topic: str, key: bytes, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._topic = topic
        self._key = key
        self._now = now

    def messages(self, rows: Sequence[Row]) -> Iterator[OutgoingMessage]:
        """Yield a record for each tombstone of the batch whose chat can be told."""
        for row in rows:
            if (chat_id := erased_chat(row)) is None:
                continue
            written_ms = row.record.written_ms
            erased_at = self._now() if written_ms is None else datetime.fromtimestamp(written_ms / 1_000, UTC)
            name = chat_hash(chat_id, self._key)
            value = encode_erasure(Erasure(chat_hash=name, erased_at=erased_at))
            yield OutgoingMessage(self._topic, name.encode(), value, (), row.record.place)
