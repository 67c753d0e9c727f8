"""Chats whose texts are alike: those that people decided before, and those that wait.

No text is kept: of one that was read for a reviewer its signature is (console/review/signature.py), until the item is
deleted or its chat erased. A text that nobody has read has none, and is like nothing.

Invariant: nothing of it reaches whoever is to answer independently, and no item of theirs stands in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from console.review.item import BLIND_KINDS, Item, ItemState
from console.review.rows import OPINION, Queues, in_queues
from console.review.signature import Signature, likenesses
from console.store.dialect import upsert
from console.store.erasing import chunks
from console.store.tables import answers, items, signatures

ALIKE_FROM: Final = 0.5
"""From this likeness on a decided chat is shown."""
NEAR_FROM: Final = 0.8
"""From this likeness on texts are near-identical: a bulk action may be about them."""
MOST: Final = 8
MOST_CANDIDATES: Final = 5_000
"""Items whose likeness is computed: those that share the most bands."""
_BLIND: Final = [kind.value for kind in sorted(BLIND_KINDS)]


@dataclass(frozen=True)
class Similar:
    """A chat that was decided, and how near it is."""

    item_id: int
    queue: str
    alike: float
    """0.5 to 1."""
    is_near: bool
    """Whether the texts are near-identical."""
    category: str
    taxonomy: dict[str, Any]
    outcome: str
    named_category: str | None
    """The category that is right, where the reviewer named one."""
    reason: str | None
    reviewer: str
    at_ms: int


def remember(connection: Connection, item: Item, signature: Signature) -> None:
    """Keep the signature of an item's text; nothing where the chat was erased meanwhile.

    Args:
        connection: Of `Store.writing`.
        item: Whose text was read.
        signature: Of that text, which is the one that was judged.
    """
    stands = select(items.c.id).where(items.c.id == item.id, items.c.fingerprint == item.fingerprint)
    if connection.execute(stands.with_for_update()).first() is None:
        return
    put = upsert(connection, signatures)
    connection.execute(
        put.on_conflict_do_update(
            index_elements=[signatures.c.item_id, signatures.c.band], set_={"value": put.excluded.value}
        ),
        [{"item_id": item.id, "band": band, "value": value} for band, value in enumerate(signature)],
    )


def signature_on(connection: Connection, item_id: int) -> Signature | None:
    """Return the signature of an item's text; None where it has none."""
    return _signatures(connection, [item_id]).get(item_id)


def similar_to(connection: Connection, item: Item, queues: Queues = None) -> list[Similar] | None:
    """Return decided chats of a reviewer's queues that are like an item's, the nearest first, at most 8.

    The same chat and the very same text are left out: `earlier_of` has those.

    Returns:
        None where they may not see it, or where there is no signature to compare.
    """
    if item.kind in BLIND_KINDS or item.n_wanted > 1:
        return None
    signature = signature_on(connection, item.id)
    if signature is None:
        return None
    is_seen = and_(
        items.c.state == ItemState.DONE.value,
        items.c.kind.not_in(_BLIND),
        items.c.n_wanted == 1,
        items.c.chat_id != item.chat_id,
        items.c.fingerprint != item.fingerprint,
        in_queues(queues),
    )
    near = alike_items(connection, signature, is_seen, at_least=ALIKE_FROM)
    said = _settling(connection, near)
    shown = sorted((item_id for item_id in near if item_id in said), key=lambda one: (-near[one], -one))
    return [_similar(said[item_id], near[item_id]) for item_id in shown[:MOST]]


def alike_items(
    connection: Connection, signature: Signature, condition: ColumnElement[bool], *, at_least: float
) -> dict[int, float]:
    """Return which items that meet a condition are like a text, and how alike each is."""
    n_shared = func.count()
    sharing = (
        select(signatures.c.item_id)
        .join(items, items.c.id == signatures.c.item_id)
        .where(signatures.c.value.in_(signature), condition)
        .group_by(signatures.c.item_id)
        .order_by(n_shared.desc(), signatures.c.item_id.desc())
        .limit(MOST_CANDIDATES)
    )
    found = _signatures(connection, connection.execute(sharing).scalars().all())
    alike = likenesses(signature, list(found.values()))
    return {item_id: float(one) for item_id, one in zip(found, alike, strict=True) if one >= at_least}


def without_signature() -> ColumnElement[bool]:
    """Return the condition that an item's text was not compared yet."""
    return ~select(signatures.c.band).where(signatures.c.item_id == items.c.id).exists()


def _signatures(connection: Connection, ids: Sequence[int]) -> dict[int, Signature]:
    found: dict[int, list[int]] = {}
    for some in chunks(ids):
        wanted = select(signatures).where(signatures.c.item_id.in_(some))
        for row in connection.execute(wanted.order_by(signatures.c.item_id, signatures.c.band)):
            found.setdefault(row.item_id, []).append(row.value)
    return {item_id: tuple(values) for item_id, values in found.items()}


def _settling(connection: Connection, ids: Iterable[int]) -> dict[int, RowMapping]:
    """Return the answer that settled each item; none of what was decided outside of the queue."""
    found: dict[int, RowMapping] = {}
    columns = (items.c.queue, items.c.category.label("judged"), items.c.taxonomy, answers)
    for some in chunks(ids):
        wanted = select(*columns).join(items, items.c.id == answers.c.item_id).where(items.c.id.in_(some), OPINION)
        for row in connection.execute(wanted.order_by(answers.c.is_final, answers.c.id)).mappings():
            found[row["item_id"]] = row
    return found


def _similar(row: RowMapping, alike: float) -> Similar:
    return Similar(
        row["item_id"],
        row["queue"],
        round(alike, 2),
        alike >= NEAR_FROM,
        row["judged"],
        row["taxonomy"],
        row["outcome"],
        row["category"],
        row["reason"],
        row["reviewer"],
        row["at_ms"],
    )
