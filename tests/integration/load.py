"""Many short chat events that must really be classified: no two of them have the same text."""

from collections.abc import Iterator, Sequence
from typing import Any

WORDS = 6


def short_events(sample_chats: Sequence[dict[str, Any]], n_events: int, *, n_chats: int) -> Iterator[dict[str, Any]]:
    """Yield events of chats that grow: the texts of the sample cut short, each made unique by a number."""
    texts = [" ".join(chat["messages"][0]["content"].split()[:WORDS]) for chat in sample_chats if chat["messages"]]
    for i in range(n_events):
        message = {"role": "user", "content": f"{texts[i % len(texts)]} {i}"}
        yield {"chat_id": f"load-{i % n_chats}", "event_id": i, "messages": [message]}


def repeated_events(sample_chats: Sequence[dict[str, Any]], n_events: int, *, n_chats: int) -> Iterator[dict[str, Any]]:
    """Yield events of chats that stay as they are: each is in the cache after its first."""
    for i in range(n_events):
        chat = sample_chats[i % n_chats]
        yield {"chat_id": chat["chat_id"], "event_id": i, "messages": chat["messages"][:1]}
