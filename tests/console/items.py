"""Rows of `items`, as tests put them there."""

from typing import Any

from sqlalchemy import insert

from console.review.appealing import item_of_verdict
from console.store.store import Store
from console.store.tables import answers, items
from tests.schemas.payloads import make_verdict


def put_item(store: Store, kind: str = "review", **fields: Any) -> int:
    """Put an item of the shared verdict, `fields` laid over its columns; return its number."""
    values = {
        **item_of_verdict(make_verdict()),
        "kind": kind,
        "queue": "default",
        "state": "open",
        "chat_hash": None,
        "arrived_ms": 1,
        "order_ms": 1,
        "n_wanted": 1,
        "n_answers": 0,
        **fields,
    }
    with store.writing() as connection:
        (item_id,) = connection.execute(insert(items).values(values)).inserted_primary_key or (0,)
    return int(item_id)


def put_answer(store: Store, item_id: int, decision_id: str, outcome: str = "block", reviewer: str = "ann") -> None:
    """Put an answer to an item."""
    values = {
        "item_id": item_id,
        "reviewer": reviewer,
        "decision_id": decision_id,
        "outcome": outcome,
        "at_ms": 1,
        "is_blind": False,
        "is_final": False,
    }
    with store.writing() as connection:
        connection.execute(insert(answers).values(values))
