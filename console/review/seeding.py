"""Gold items: put into one reviewer's queue, near its front, where nothing tells them from a sample."""

import hashlib
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, func, insert, select

from console.review.gold import GoldChat, GoldChats
from console.review.item import ItemKind, ItemState
from console.review.listing import Asked, fresh_items
from console.review.rows import Queues
from console.store.tables import items

Draw = Callable[[int], int]
"""Return one of 0 to n - 1, each as likely."""

_NEAR: Final = 5
"""It takes the place of one of the next so many items."""
_ID_BYTES: Final = 16


def seed(
    connection: Connection,
    gold: GoldChats,
    reviewer: str,
    *,
    queue: str | None,
    every: int,
    draw: Draw,
    now: int,
    queues: Queues = None,
) -> int | None:
    """After an answer: put a gold item into the reviewer's queue once in so many answers.

    Args:
        connection: Of `Store.writing`.
        gold: The chats.
        reviewer: Who will answer it.
        queue: Of the policy by which the answers are known; None: its neighbour's.
        every: One of so many answers is followed by one.
        draw: Chance.
        now: Milliseconds since 1970.
        queues: That are the reviewer's.

    Returns:
        The item; None where there is none this time, one waits already, or no chat fits the queue's taxonomy.
    """
    if every <= 0 or draw(every) != 0:
        return None
    own = (items.c.kind == ItemKind.GOLD.value, items.c.meant_for == reviewer)
    waiting = select(items.c.id).where(*own, items.c.state == ItemState.OPEN.value).limit(1)
    if connection.execute(waiting).first() is not None:
        return None
    near = _one_of_the_next(connection, Asked(reviewer, queues=queues), draw)
    if near is None:
        return None
    chats = gold.for_taxonomy(near["taxonomy"]["name"], list(near["evidence"]))
    if not chats:
        return None
    seen: Counter[str] = Counter()
    counted = select(items.c.gold_key, func.count()).where(*own).group_by(items.c.gold_key)
    seen.update({row[0]: row[1] for row in connection.execute(counted)})
    fewest = min(seen[chat.key] for chat in chats)
    rarest = [chat for chat in chats if seen[chat.key] == fewest]
    values = _row(rarest[draw(len(rarest))], near, reviewer, fewest, now) | _in_queue(queue, queues)
    (item_id,) = connection.execute(insert(items).values(values)).inserted_primary_key or (0,)
    return int(item_id)


def _one_of_the_next(connection: Connection, asked: Asked, draw: Draw) -> RowMapping | None:
    rows = connection.execute(fresh_items(asked).limit(_NEAR)).mappings().all()
    # What a gold item is like is taken from an item of the model's: an appeal's queue is another one.
    real = [row for row in rows if row["kind"] in {ItemKind.REVIEW.value, ItemKind.SAMPLE.value}]
    return real[draw(len(real))] if real else None


def _in_queue(queue: str | None, queues: Queues) -> dict[str, str]:
    """Return the queue to stand in, where it is one of the reviewer's; else the neighbour's stays."""
    return {} if queue is None or (queues is not None and queue not in queues) else {"queue": queue}


def _row(chat: GoldChat, near: RowMapping, reviewer: str, n_before: int, now: int) -> dict[str, Any]:
    name = f"{chat.key}\n{reviewer}\n{n_before}\n{now}"
    return {
        "kind": ItemKind.GOLD.value,
        "queue": near["queue"],
        "state": ItemState.OPEN.value,
        "verdict_id": hashlib.sha256(name.encode()).hexdigest()[: 2 * _ID_BYTES],
        "policies": [],
        "taxonomy": near["taxonomy"],
        "category": chat.category,
        # The codes from which its reviewer chooses; no model was asked.
        "evidence": dict.fromkeys(near["evidence"], 0.0),
        "unevaluated": [],
        "model": near["model"],
        "risk": near["risk"],
        # Its neighbour's times: it stands beside that one in either order.
        "decided_ms": near["decided_ms"],
        "arrived_ms": near["arrived_ms"],
        "order_ms": near["order_ms"],
        "n_wanted": 1,
        "n_answers": 0,
        "gold_key": chat.key,
        "gold_decision": chat.decision,
        "gold_category": chat.category,
        "meant_for": reviewer,
    }
