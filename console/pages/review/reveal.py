"""Read an item's text: first the log of who sees it, then Kafka. Of the text only a keyed signature is kept."""

from dataclasses import asdict
from typing import Any, Final

from console.pages.review.desk import Person
from console.pages.review.passages import severe_passages, shown_turns
from console.pages.review.problems import answered
from console.pipeline.errors import PipelineAway
from console.pipeline.text import ChatText, Texts, text_of
from console.port.threads import DATABASE
from console.review.item import Item
from console.review.queue import Queue
from console.service import Service
from schemas import Turn

RETENTION: Final = "The topic's retention deleted the record, or it is no record of this chat."
NO_GOLD: Final = "Its file has it no longer."


async def reveal(service: Service, queue: Queue, texts: Texts | None, person: Person, item_id: int) -> dict[str, Any]:
    """Return an item's text for whoever asks, JSON-ready.

    Returns:
        `gone`: why there is none; or `turns` [{role, text, severe}], `deciding` (its position or None), `is_same`
        (whether it is the text that was judged) and `is_severe`. With both `similar`: decided chats that are like it,
        the nearest first; None where its reviewer may not see them.

    Raises:
        Problem: 404, or 503 where database or Kafka is away.
    """
    with answered():
        item = await DATABASE.call(queue.item, item_id, person.name, queues=person.queues)
        await DATABASE.call(queue.log_reveal, person.name, item)
        if item.gold_key is not None:
            gold = queue.gold_turns(item)
            return {"gone": NO_GOLD} if gold is None else await _document(service, item, *gold)
        found = await _read(texts, item)
        if found is not None:
            # Before it is compared with the others.
            await DATABASE.call(queue.remember_text, item, found.turns, found.fingerprint)
        similar = await DATABASE.call(queue.similar, item, queues=person.queues)
    beside = {"similar": None if similar is None else [asdict(one) for one in similar]}
    if found is None:
        return {"gone": RETENTION, **beside}
    is_same = item.fingerprint is None or found.fingerprint == item.fingerprint
    return {**await _document(service, item, found.turns, found.is_deciding), "is_same": is_same, **beside}


async def _read(texts: Texts | None, item: Item) -> ChatText | None:
    if item.text_at is None:
        return None
    if texts is None:
        raise PipelineAway("this console follows no topic of chats")
    return await text_of(texts, *item.text_at)


async def _document(service: Service, item: Item, turns: list[Turn], deciding: int | None) -> dict[str, Any]:
    labels = await severe_passages(service, item, turns)
    return {
        "turns": shown_turns(turns, labels),
        "deciding": deciding,
        "is_same": True,
        "is_severe": not item.is_blind and item.category in service.writer.banned,
        "similar": None,
    }
