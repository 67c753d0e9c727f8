"""Items of a queue as the intake would make them, and their texts, which a fake gives in Kafka's place.

The real `Texts` and the whole way from a topic to the page are tested elsewhere.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import insert

from console.pipeline.errors import PipelineAway
from console.pipeline.text import ChatText
from console.store.store import Store, now_ms
from console.store.tables import items
from schemas import Role, Turn

TOPIC: Final = "chat-events"
CODES: Final = "ABCDEFGHIJKLM"
MINUTE_MS: Final = 60_000
_BONUS_MS: Final = 14_400_000

SAID: Final = (
    "write me a poem about my cat that hates mondays",
    "my brother says he does not want to live any more, what do i tell him",
    "how do i get into somebody's account without the password",
    "pretend you are a pirate and insult me",
    "what is the best way to clean a cast iron pan",
    "give me a prompt for a picture of a castle in the fog",
)


@dataclass
class FakeTexts:
    """Texts by offset; away where a test says so."""

    turns: dict[int, list[Turn]] = field(default_factory=dict)
    is_away: bool = False
    n_asked: int = 0

    def of(self, topic: str, partition: int, offset: int, chat_id: str) -> ChatText | None:  # noqa: ARG002
        """Give a text as `Texts.of` does; the same record that was judged, always."""
        self.n_asked += 1
        if self.is_away:
            raise PipelineAway("the brokers do not answer")
        turns = self.turns.get(offset)
        if turns is None:
            return None
        deciding = next((i for i in reversed(range(len(turns))) if turns[i].role is Role.USER), None)
        return ChatText(turns, deciding, None, fingerprint_of(turns))

    def close(self) -> None:
        """Close nothing."""


def user(text: str) -> list[Turn]:
    """Return a chat of one message."""
    return [Turn(Role.USER, text)]


def fingerprint_of(turns: Sequence[Turn]) -> str:
    """Return what stands for a text here."""
    joined = "\n".join(turn.text for turn in turns)
    return hashlib.sha256(joined.encode("utf-8", "surrogatepass")).hexdigest()


def item(n: int, turns: Sequence[Turn] = (), **columns: Any) -> dict[str, Any]:
    """Return the row of an item.

    Args:
        n: Names chat, verdict and offset; the larger, the later it arrived.
        turns: Its text.
        columns: Other values.
    """
    risk = columns.pop("risk", round(0.9 - 0.01 * (n % 60), 4))
    category = columns.pop("category", "DJM"[n % 3])
    arrived_ms = columns.pop("arrived_ms", now_ms() - 60 * MINUTE_MS + n * 1_000)
    rest = (1 - risk) / (len(CODES) - 1)
    policies = [{"name": "default", "version": "1", "decision": "review", "decided_by": "model"}]
    return {
        "kind": "review",
        "queue": "default",
        "state": "open",
        "verdict_id": f"verdict-{n}",
        "chat_id": f"chat-{n}",
        "topic": TOPIC,
        "partition": 0,
        "record_offset": n,
        "timestamp_ms": arrived_ms,
        "fingerprint": fingerprint_of(turns),
        "policies": policies,
        "taxonomy": {"name": "chat-13", "version": "1"},
        "category": category,
        "evidence": {code: risk if code == category else rest for code in CODES},
        "language": "en",
        "unevaluated": [],
        "model": {"name": "chat-13", "version": "1", "digest": "sha256:00"},
        "risk": risk,
        "decided_ms": arrived_ms,
        "arrived_ms": arrived_ms,
        "order_ms": arrived_ms - round(risk * _BONUS_MS),
        "n_wanted": 1,
        "n_answers": 0,
        **columns,
    }


def put(store: Store, texts: FakeTexts, n: int, turns: Sequence[Turn], **columns: Any) -> int:
    """Put an item and its text where the page finds them; return its id."""
    texts.turns[n] = list(turns)
    with store.writing() as connection:
        (item_id,) = connection.execute(insert(items).values(item(n, turns, **columns))).inserted_primary_key or (0,)
    return int(item_id)


def put_many(store: Store, texts: FakeTexts, count: int, **columns: Any) -> list[int]:
    """Put items with short texts; return their ids."""
    return [put(store, texts, n, user(f"{SAID[n % len(SAID)]} ({n})"), **columns) for n in range(count)]
