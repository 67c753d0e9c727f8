"""What follows an answer besides the queue's own rows: an appeal tells its caller."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

from console.review.item import Item


@dataclass(frozen=True)
class Settled:
    """An item that is answered for good, unless it is undone."""

    item: Item
    outcome: str
    category: str | None
    reason: str | None
    reviewer: str
    decision_id: str
    """Of the answer that settled it: rows of the outbox under it are cancelled with it."""
    at_ms: int
    sends_at_ms: int


@dataclass(frozen=True)
class Hooks:
    """Called within the transaction; what they raise undoes it all."""

    on_settled: Callable[[Connection, Settled], None] = lambda _connection, _settled: None
    on_reopened: Callable[[Connection, Item], None] = lambda _connection, _item: None
