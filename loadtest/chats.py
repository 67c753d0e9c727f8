"""The workload: real chats from a JSON lines file, turned into as many chat events as a measurement needs.

Invariants: an event with a new chat number never has the content of an earlier number, so that neither the cache nor
the worker's own folding of equal texts answers it; an event with a known number repeats that chat to the letter.
"""

import itertools
import random
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Self

import orjson

from loadtest.errors import LoadTestError
from schemas import CodecLimits, RecordRejected, content_fingerprint, conversation_turns, decode_chat_event
from testkit.records import InputRecord

SAMPLE_CHATS: Final = Path(__file__).parents[1] / "data" / "sample" / "chats.jsonl"

_REPEAT_WINDOW_CHATS: Final = 10_000
"""A repeat is one of this many newest chats: old chats fall silent, and the cache of a long run stays bounded."""


def new_run_id() -> str:
    """Return a prefix for the ids of one measurement."""
    return f"lt{uuid.uuid4().hex[:8]}"


class ChatPool:
    """Distinct chats, to be sent under fresh chat ids.

    Args:
        conversations: The `messages` of each chat, as upstream sends them.
        run_id: Prefix of every chat id and event id of this measurement, so that other traffic is told apart.
    """

    def __init__(self, conversations: Sequence[list[dict[str, Any]]], run_id: str) -> None:
        self.conversations = conversations
        self.run_id = run_id

    @classmethod
    def read(cls, path: Path, run_id: str, *, limit: int | None = None) -> Self:
        """Read the first `limit` chats of a file that the worker would judge; equal ones count once.

        Raises:
            LoadTestError: the file cannot be read or holds no such chat.
        """
        conversations: dict[str, list[dict[str, Any]]] = {}
        try:
            with path.open("rb") as lines:
                for line in lines:
                    if limit is not None and len(conversations) == limit:
                        break
                    _add(conversations, line)
        except OSError as error:
            raise LoadTestError(f"{path}: cannot be read ({error.strerror}); expected JSON lines of chats") from error
        if not conversations:
            raise LoadTestError(f"{path}: holds no chat event that the worker would accept; expected one per line")
        return cls(list(conversations.values()), run_id)

    def __len__(self) -> int:
        return len(self.conversations)

    def outgoing(self, number: int, sequence: int, *, event_run_id: str | None = None) -> InputRecord:
        """Return the event of chat `number`, carrying `sequence` in its event id.

        `event_run_id` takes the place of the pool's run id in the event id only: the same chat, booked apart.

        Numbers past the pool use its chats again with a few characters added, which makes them other chats.
        """
        round_number, place = divmod(number, len(self.conversations))
        messages = self.conversations[place]
        if round_number:
            last = messages[-1]
            messages = [*messages[:-1], {**last, "content": f"{last['content']} ({round_number})"}]
        chat_id = f"{self.run_id}-{number}"
        value = {"chat_id": chat_id, "event_id": f"{event_run_id or self.run_id}:{sequence}", "messages": messages}
        return InputRecord(chat_id.encode(), orjson.dumps(value))


def _add(conversations: dict[str, list[dict[str, Any]]], line: bytes) -> None:
    try:
        event = decode_chat_event(line.rstrip(b"\r\n"), CodecLimits())
    except RecordRejected:
        return
    if any(message.content.strip() for message in event.messages):
        messages = orjson.loads(line)["messages"]
    else:
        messages = [{"role": role.value, "content": text} for role, text in conversation_turns(event)]
    conversations.setdefault(content_fingerprint(event), messages)


def chat_numbers(n_events: int, *, repeat_ratio: float, seed: int) -> Iterator[int]:
    """Yield the chat of each event: mostly the next new one, at times one seen before.

    Args:
        n_events: Events to plan.
        repeat_ratio: Expected share of events that repeat an earlier chat, 0..1.
        seed: Same seed, same plan.
    """
    choice = random.Random(seed)  # noqa: S311  a repeatable workload, not a secret
    n_new = 0
    for _ in range(n_events):
        if n_new and choice.random() < repeat_ratio:
            yield choice.randrange(max(0, n_new - _REPEAT_WINDOW_CHATS), n_new)
        else:
            yield n_new
            n_new += 1


def round_robin(n_events: int, n_chats: int) -> Iterator[int]:
    """Yield the numbers of the same chats over and over, in order, so that equal ones are as far apart as can be."""
    return itertools.islice(itertools.cycle(range(n_chats)), n_events)
