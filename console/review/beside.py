"""What stands beside an item: earlier verdicts and answers of the same chat, and of the same text in other chats.

Invariant: nothing of it reaches whoever is to answer independently: of a blind item, or where several opinions are
wanted.
"""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, select

from console.review.item import BLIND_KINDS, Item, ItemState, Outcome
from console.review.rows import SKIP, Queues, in_queues
from console.store.tables import answers, appeals, items

MOST: Final = 8
"""Items of each list, the newest."""
_BLIND: Final = [kind.value for kind in sorted(BLIND_KINDS)]


def earlier_of(connection: Connection, item: Item, queues: Queues = None) -> dict[str, Any] | None:
    """Return what was in a reviewer's queues before of an item's chat and text; None where they may not see it.

    Returns:
        JSON-ready `same_chat` and `same_text`: lists, newest first, of {item_id, decided_ms, state, category, taxonomy,
        answers: [{outcome, category, reason, note, reviewer, at_ms, undone}]}; times in milliseconds since 1970.
    """
    if item.kind in BLIND_KINDS or item.n_wanted > 1:
        return None
    not_this = and_(items.c.id != item.id, items.c.kind.not_in(_BLIND), items.c.n_wanted == 1, in_queues(queues))
    of_chat = _newest(connection, and_(items.c.chat_id == item.chat_id, not_this)) if item.chat_id else []
    of_text = (
        _newest(connection, and_(items.c.fingerprint == item.fingerprint, items.c.chat_id != item.chat_id, not_this))
        if item.fingerprint
        else []
    )
    said = _answers(connection, [row["id"] for row in (*of_chat, *of_text)])
    return {
        "same_chat": [_document(row, said.get(row["id"], [])) for row in of_chat],
        "same_text": [_document(row, said.get(row["id"], [])) for row in of_text],
    }


def appeal_of(connection: Connection, item: Item) -> dict[str, Any] | None:
    """Return what an appeal says and what was decided before, JSON-ready; None of an item that is no appeal."""
    row = connection.execute(select(appeals).where(appeals.c.item_id == item.id)).mappings().first()
    if row is None:
        return None
    original = None
    if item.appealed_id is not None:
        wanted = select(answers).where(answers.c.item_id == item.appealed_id, answers.c.undone_ms.is_(None))
        said = connection.execute(wanted.order_by(answers.c.id.desc()).limit(1)).mappings().first()
        # Who decided is of no use to whoever decides anew.
        original = None if said is None else {name: said[name] for name in ("outcome", "reason", "at_ms")}
    return {"reason": row["reason"], "note": row["note"], "original": original}


def waiting_of(connection: Connection, chat_id: str, queues: Queues = None) -> list[dict[str, Any]]:
    """Return the open items of a chat in a reviewer's queues, oldest first: {item_id, kind, queue, arrived_ms}.

    Blind items are left out: whoever found one from its chat would have seen what the model says.
    """
    is_seen = and_(items.c.kind.not_in(_BLIND), in_queues(queues))
    is_open = and_(items.c.chat_id == chat_id, items.c.state == ItemState.OPEN.value, is_seen)
    rows = connection.execute(select(items).where(is_open).order_by(items.c.arrived_ms, items.c.id).limit(MOST))
    names = ("kind", "queue", "arrived_ms")
    return [{"item_id": row["id"], **{name: row[name] for name in names}} for row in rows.mappings()]


def was_skipped(connection: Connection, item: Item, reviewer: str) -> bool:
    """Say whether a reviewer skipped an item before."""
    wanted = select(answers.c.id).where(answers.c.item_id == item.id, answers.c.reviewer == reviewer, SKIP)
    return connection.execute(wanted.limit(1)).first() is not None


def _newest(connection: Connection, condition: Any) -> Sequence[RowMapping]:
    wanted = select(items).where(condition, items.c.state != ItemState.ERASED.value)
    return connection.execute(wanted.order_by(items.c.decided_ms.desc()).limit(MOST)).mappings().all()


def _answers(connection: Connection, ids: Sequence[int]) -> dict[int, list[RowMapping]]:
    found: dict[int, list[RowMapping]] = {}
    if not ids:
        return found
    wanted = (
        select(answers)
        .where(answers.c.item_id.in_(ids), answers.c.outcome != Outcome.SKIP.value)
        .order_by(answers.c.id)
    )
    for row in connection.execute(wanted).mappings():
        found.setdefault(row["item_id"], []).append(row)
    return found


def _document(row: RowMapping, said: Sequence[RowMapping]) -> dict[str, Any]:
    names = ("outcome", "category", "reason", "note", "reviewer", "at_ms")
    return {
        "item_id": row["id"],
        **{name: row[name] for name in ("decided_ms", "state", "category", "taxonomy")},
        "answers": [{**{name: one[name] for name in names}, "undone": one["undone_ms"] is not None} for one in said],
    }
