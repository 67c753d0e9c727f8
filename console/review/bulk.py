"""One answer for many items: on a filter, after a look at some of them, up to a cap, each with an answer of its own.

The filter is asked again in the transaction that answers. Where another number of items matches than the person was
shown, nothing is answered. A filter by nearness finds items whose texts were read before and are compared by signature
(console/review/similar.py); `uncompared` are the others.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, select

from console.review.answering import Answering, take
from console.review.errors import Conflict, WishRefused
from console.review.item import BulkFilter, BulkResult, Item, ItemKind, ItemState, Outcome, Preview, Wish
from console.review.rows import Queues, answerable, is_within, item_of, with_claims
from console.review.similar import NEAR_FROM, alike_items, signature_on, without_signature
from console.review.wish import check_actor
from console.store.tables import answers, claims, items

MAX_CAP: Final = 500
"""Answers of one bulk action at most: one transaction, in which nobody else answers."""
MAX_SAMPLE: Final = 50
_MOST_BATCH_CHARACTERS: Final = 32


class Uncompared(NamedTuple):
    """Items that a filter by nearness cannot find."""

    n: int
    newest: list[Item]
    """Those that arrived last."""


def preview(
    connection: Connection, wanted: BulkFilter, reviewer: str, *, n_sample: int, now: int, queues: Queues = None
) -> Preview:
    """Return how many items match, and some of them, evenly spread.

    Raises:
        WishRefused: the filter names nothing, or the sample is too large.
    """
    if not 1 <= n_sample <= MAX_SAMPLE:
        raise WishRefused("n_sample", f"n_sample is {n_sample}; expected 1 to {MAX_SAMPLE}")
    condition, alike = _matching(connection, wanted, reviewer, now, queues)
    ids = connection.execute(select(items.c.id).where(condition).order_by(items.c.id)).scalars().all()
    # The least near first: whoever looks at a part of a cluster looks at its edge.
    chosen = sorted(ids, key=lambda item_id: alike[item_id])[:n_sample] if alike else _spread(ids, n_sample)
    rows = connection.execute(select(items).where(items.c.id.in_(chosen))).mappings()
    found = sorted((item_of(row) for row in rows), key=lambda item: chosen.index(item.id))
    return Preview(len(ids), with_claims(connection, found, reviewer, now, queues), alike)


def uncompared(
    connection: Connection, wanted: BulkFilter, reviewer: str, *, most: int, now: int, queues: Queues = None
) -> Uncompared:
    """Return which items a filter by nearness cannot find, since nobody has read their texts; raises WishRefused."""
    unread = and_(_open_reviews(wanted, reviewer, now, queues), without_signature())
    n = connection.execute(select(func.count()).select_from(items).where(unread)).scalar_one()
    # The oldest texts are the likeliest to be gone, and would be asked for again and again.
    newest = select(items).where(unread).order_by(items.c.arrived_ms.desc(), items.c.id.desc()).limit(most)
    return Uncompared(n, [item_of(row) for row in connection.execute(newest).mappings()])


def answer_all(
    connection: Connection,
    wanted: BulkFilter,
    reviewer: str,
    wish: Wish,
    *,
    cap: int,
    expected_count: int,
    batch: str,
    by: Answering,
    now: int,
    queues: Queues = None,
) -> BulkResult:
    """Answer every item that matches, up to the cap, the first that arrived first.

    Args:
        connection: Of `Store.writing`.
        wanted: Which items.
        reviewer: Who answers.
        wish: The answer; no skip.
        cap: At most so many, 1 to 500.
        expected_count: How many matched in the preview.
        batch: The caller's name of the action: one that is known is not done again, and returns what it did.
        by: What answers are taken by.
        now: Milliseconds since 1970.
        queues: That are the reviewer's.

    Raises:
        WishRefused: filter, answer, cap or batch breaks a rule.
        Conflict: another number of items matches by now, or the batch is somebody else's.
    """
    check_actor(reviewer)
    if not 1 <= cap <= MAX_CAP:
        raise WishRefused("cap", f"cap is {cap}; expected 1 to {MAX_CAP}")
    if not 1 <= len(batch) <= _MOST_BATCH_CHARACTERS:
        raise WishRefused("batch", f"batch has {len(batch)} characters; expected 1 to {_MOST_BATCH_CHARACTERS}")
    if wish.outcome == Outcome.SKIP:
        raise WishRefused("outcome", "outcome is skip; expected allow or block for many items at once")
    if (known := _known(connection, batch, reviewer)) is not None:
        return known
    condition, _ = _matching(connection, wanted, reviewer, now, queues)
    n_matching = connection.execute(select(func.count()).select_from(items).where(condition)).scalar_one()
    # Locked in the order of their ids, as everybody locks several.
    chosen = select(items).where(condition).order_by(items.c.id).limit(cap).with_for_update()
    found = [item_of(row) for row in connection.execute(chosen).mappings()]
    # On PostgreSQL somebody may have answered or claimed some between the look and the lock.
    n_matching -= min(cap, n_matching) - len(found)
    held = select(claims.c.item_id).where(claims.c.item_id.in_([item.id for item in found]), claims.c.until_ms > now)
    n_matching -= len(connection.execute(held).all())
    if n_matching != expected_count:
        raise Conflict(
            f"{n_matching} items match and {expected_count} did; look at the preview again", n_matching=n_matching
        )
    checked = [(item, by.rules.check(wish, item)) for item in found]
    taken = [take(connection, item, reviewer, one, by=by, now=now, batch=batch) for item, one in checked]
    sends_at_ms = next((one.sends_at_ms for one in taken if one.sends_at_ms is not None), None)
    return BulkResult(batch, n_matching, [one.answer_id for one in taken], sends_at_ms)


def _matching(
    connection: Connection, wanted: BulkFilter, reviewer: str, now: int, queues: Queues
) -> tuple[ColumnElement[bool], dict[int, float]]:
    """Return the condition, and of a filter by nearness how near each item is that meets it."""
    condition = _open_reviews(wanted, reviewer, now, queues)
    if wanted.near is None:
        return condition, {}
    signature = None
    row = connection.execute(select(items).where(items.c.id == wanted.near)).mappings().first()
    if row is not None and is_within(item := item_of(row), reviewer, queues) and not item.is_blind:
        signature = signature_on(connection, item.id)
    if signature is None:
        raise WishRefused(
            "near", "near is no item whose text was read and may be compared; open one, wait for its text, ask again"
        )
    alike = alike_items(connection, signature, condition, at_least=NEAR_FROM)
    return and_(condition, items.c.id.in_(sorted(alike))), alike


def _open_reviews(wanted: BulkFilter, reviewer: str, now: int, queues: Queues) -> ColumnElement[bool]:
    """Return the condition: open reviews that nobody holds and that the reviewer may answer."""
    if wanted.category is None and wanted.fingerprint is None and wanted.near is None:
        raise WishRefused("category", "the filter names neither category nor text; name at least one of them")
    for name in ("category", "fingerprint", "policy"):
        # PostgreSQL takes no text with a NUL.
        if not (getattr(wanted, name) or "").isprintable():
            raise WishRefused(name, f"{name} holds a control character; expected text without")
    is_held = select(claims.c.token).where(claims.c.item_id == items.c.id, claims.c.until_ms > now).exists()
    conditions: list[Any] = [
        items.c.state == ItemState.OPEN.value,
        # No item whose answer is to be blind, or by another person than before.
        items.c.kind == ItemKind.REVIEW.value,
        items.c.n_answers < items.c.n_wanted,
        answerable(reviewer, is_admin=False, queues=queues),
        ~is_held,
    ]
    if wanted.category is not None:
        conditions.append(items.c.category == wanted.category)
    if wanted.fingerprint is not None:
        conditions.append(items.c.fingerprint == wanted.fingerprint)
    if wanted.policy is not None:
        conditions.append(items.c.queue == wanted.policy)
    return and_(*conditions)


def _known(connection: Connection, batch: str, reviewer: str) -> BulkResult | None:
    rows = connection.execute(select(answers).where(answers.c.batch == batch).order_by(answers.c.id)).mappings().all()
    if not rows:
        return None
    if rows[0]["reviewer"] != reviewer:
        raise Conflict("the batch is somebody else's; choose another name", decided_by=rows[0]["reviewer"])
    return BulkResult(batch, len(rows), [row["id"] for row in rows], None)


def _spread(ids: Sequence[int], n: int) -> list[int]:
    """Return n of the ids, the first and the last among them, evenly spread."""
    if len(ids) <= n:
        return list(ids)
    if n == 1:
        return [ids[0]]
    return [ids[round(place * (len(ids) - 1) / (n - 1))] for place in range(n)]
