"""The text of a chat, fetched from its input record when a person asks for it. It is stored nowhere."""

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from console.pipeline.errors import PipelineAway
from schemas import (
    ChatEvent,
    RecordRejected,
    Role,
    Turn,
    conversation_turns,
    holds_unread,
    parse_event_in,
    parts_left_out,
    turns_fingerprint,
    validate_event,
)
from worker.errors import Degraded
from worker.kafka.record_fetch import RecordFetcher, open_fetcher
from worker.settings.kafka import KafkaSettings
from worker.settings.worker import WorkerSettings

_STEP_S: Final = 5.0
"""Longest wait for one answer of the brokers; a fetch asks twice."""
_LOCK_S: Final = 20.0
"""Longest wait for the fetches of others."""
_ANSWER_S: Final = 30.0
"""Longest time that a request waits for a text: for those before it, and for the brokers."""
_CLIENT: Final = "console-text"
_THREADS: Final = ThreadPoolExecutor(2, thread_name_prefix="chat-text")
"""Not asyncio's own: where Kafka is away, texts would keep every one of these, and claims and answers would wait."""


@dataclass(frozen=True)
class ChatText:
    """What a chat said in one event."""

    turns: list[Turn]
    """Every message with visible text, whole, the oldest first."""
    is_deciding: int | None
    """Which turn the event was sent for: the user's newest. None where no user wrote anything."""
    event_id: str | int | None
    fingerprint: str
    """Of these turns; another one than the verdict's means that the record is not the one that was judged."""


class Texts:
    """Fetches texts. Safe in threads: one is fetched at a time.

    Args:
        settings: The worker's: where Kafka is, and how the values of the input topic are encoded.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._fetcher: RecordFetcher | None = None

    def of(self, topic: str, partition: int, offset: int, chat_id: str) -> ChatText | None:
        """Return what a chat said in one record of the input topic.

        Args:
            topic: With partition and offset the `source` of a verdict.
            partition: Its partition.
            offset: Its offset.
            chat_id: The chat that the record must be of.

        Returns:
            None where retention took the record, where it is another chat's, or where it is no readable event.

        Raises:
            PipelineAway: the brokers do not answer within a bounded time, or refuse.
        """
        if not self._lock.acquire(timeout=_LOCK_S):
            raise PipelineAway(f"others have been fetching texts for {_LOCK_S:.0f} s; ask again")
        try:
            if self._fetcher is None:
                self._fetcher = open_fetcher(self._patient(), _CLIENT)
            record = self._fetcher.fetch((topic, partition, offset))
        except Degraded as error:
            raise PipelineAway(str(error)) from error
        finally:
            self._lock.release()
        return None if record is None else self._decoded(record.value, chat_id)

    def close(self) -> None:
        """Release the connection, once the fetch in hand is over; one that hangs keeps it."""
        if not self._lock.acquire(timeout=_LOCK_S):
            return
        try:
            if self._fetcher is not None:
                self._fetcher.close()
                self._fetcher = None
        finally:
            self._lock.release()

    def _patient(self) -> KafkaSettings:
        kafka = self._settings.kafka
        return kafka.model_copy(update={"request_timeout_s": min(kafka.request_timeout_s, _STEP_S)})

    def _decoded(self, value: bytes | None, chat_id: str) -> ChatText | None:
        try:
            document = parse_event_in(value, self._settings.codec, self._settings.kafka.value_format)
            left_out = parts_left_out(document.get("messages"))
            event = validate_event(document)
        except RecordRejected:
            return None
        return None if event.chat_id != chat_id else _text_of(event, is_partly_read=holds_unread(left_out))


async def text_of(texts: Texts, topic: str, partition: int, offset: int, chat_id: str) -> ChatText | None:
    """Return what `Texts.of` does, without a thread that others need; raises as it does."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_ANSWER_S):
            return await loop.run_in_executor(_THREADS, texts.of, topic, partition, offset, chat_id)
    except TimeoutError:
        raise PipelineAway(f"others have been waiting for texts for {_ANSWER_S:.0f} s; ask again") from None


def _text_of(event: ChatEvent, *, is_partly_read: bool) -> ChatText:
    turns = conversation_turns(event)
    return ChatText(turns, _deciding(turns), event.event_id, turns_fingerprint(turns, holds_unread=is_partly_read))


def _deciding(turns: Sequence[Turn]) -> int | None:
    return next((i for i in reversed(range(len(turns))) if turns[i].role is Role.USER), None)
