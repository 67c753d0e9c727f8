"""Claims: an item is one person's for a time, or several people's where several opinions are wanted.

Invariant: answers and leases of an item are never more than the opinions that are wanted, and in a dispute one lease.
Each function changes one item, whose row it locks first, so that two reviewers ask one after the other.

A lease that has lapsed keeps its place until somebody else needs it: whoever comes back a minute late loses nothing.
"""

import secrets

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from console.review.errors import Conflict, NotInQueue
from console.review.item import Claim, Item, ItemState, Opinion
from console.review.listing import Asked, fresh_items, skipped_items, without_holders
from console.review.rows import OPINION, Queues, answerable, is_within, item_of, places_of, with_claims
from console.store.access import log_access
from console.store.tables import answers, claims, items


def locked(connection: Connection, item_id: int, reviewer: str, queues: Queues) -> Item:
    """Return an item whose row nobody else changes before the end of the transaction.

    Args:
        connection: Of `Store.writing`.
        item_id: The item.
        reviewer: For whom.
        queues: That are theirs.

    Raises:
        NotInQueue: there is none, it was erased, it is of another queue, or another reviewer's gold item.
    """
    row = connection.execute(select(items).where(items.c.id == item_id).with_for_update()).mappings().first()
    if row is None or row["state"] == ItemState.ERASED.value:
        raise NotInQueue
    item = item_of(row)
    if not is_within(item, reviewer, queues):
        raise NotInQueue
    return item


def claim(
    connection: Connection,
    item_id: int,
    reviewer: str,
    *,
    is_admin: bool,
    now: int,
    lease_ms: int,
    queues: Queues = None,
) -> Claim:
    """Make an item the reviewer's for a time; their own claim on it is renewed.

    Args:
        connection: Of `Store.writing`.
        item_id: The item.
        reviewer: Who claims it.
        is_admin: Whether they settle disputes that they are part of.
        now: Milliseconds since 1970.
        lease_ms: For how long.
        queues: That are the reviewer's.

    Raises:
        NotInQueue: it is no item for this reviewer.
        Conflict: others have it, or it was answered.
    """
    item = locked(connection, item_id, reviewer, queues)
    if item.state == ItemState.DONE:
        raise decided(connection, item)
    own = claim_row(connection, item_id, reviewer)
    if own is None:
        _check_is_for(connection, item, reviewer, is_admin=is_admin)
        make_place(connection, item, reviewer, now)
        token = make_claim(connection, item_id, reviewer, now=now, until_ms=now + lease_ms)
        log_claim(connection, "claim", reviewer, item, now)
    else:
        token = own["token"]
        _prolong(connection, item_id, reviewer, now + lease_ms)
    (claimed,) = with_claims(connection, [item], reviewer, now, queues)
    return Claim(claimed, token, now + lease_ms, opinions_on(connection, item) if item.is_disputed else ())


def make_claim(connection: Connection, item_id: int, reviewer: str, *, now: int, until_ms: int) -> str:
    """Write a claim where the reviewer has none, and return its token."""
    token = secrets.token_hex(16)
    values = {"item_id": item_id, "reviewer": reviewer, "token": token, "until_ms": until_ms, "since_ms": now}
    connection.execute(insert(claims).values(values))
    return token


def next_item(connection: Connection, asked: Asked, now: int) -> int | None:
    """Return the first item of the order that has a place for the reviewer; what they skipped comes last."""
    has_place = without_holders(asked.reviewer, now)
    for statement in (fresh_items(asked), skipped_items(asked)):
        row = connection.execute(statement.where(has_place).limit(1)).mappings().first()
        if row is not None:
            return int(row["id"])
    return None


def renew(
    connection: Connection,
    item_id: int,
    reviewer: str,
    token: str,
    *,
    now: int,
    lease_ms: int,
    queues: Queues = None,
) -> int:
    """Prolong a claim and return until when it lasts.

    Raises:
        NotInQueue: there is no such item.
        Conflict: the lease was lost.
    """
    check_claim(connection, locked(connection, item_id, reviewer, queues), reviewer, token, now)
    _prolong(connection, item_id, reviewer, now + lease_ms)
    return now + lease_ms


def release(
    connection: Connection, item_id: int, reviewer: str, token: str, *, now: int, queues: Queues = None
) -> None:
    """Give an item back to the queue, where it stands as before; raises as `renew` does."""
    item = locked(connection, item_id, reviewer, queues)
    check_claim(connection, item, reviewer, token, now)
    drop_claim(connection, item_id, reviewer)
    log_claim(connection, "release", reviewer, item, now)


def check_claim(connection: Connection, item: Item, reviewer: str, token: str, now: int) -> RowMapping:
    """Return a reviewer's claim.

    Raises:
        Conflict: it is not theirs any longer; it names who has the item or has answered it.
    """
    if item.state == ItemState.DONE:
        # An override from elsewhere closes an item that somebody holds.
        raise decided(connection, item)
    row = claim_row(connection, item.id, reviewer)
    if row is not None and secrets.compare_digest(row["token"].encode(), token.encode()):
        return row
    holder = _holder(connection, item, now)
    if holder is not None:
        raise holder
    raise Conflict("the lease has lapsed and nobody has the item; claim it again")


def claim_row(connection: Connection, item_id: int, reviewer: str) -> RowMapping | None:
    """Return a reviewer's claim on an item; None where there is none."""
    wanted = select(claims).where(claims.c.item_id == item_id, claims.c.reviewer == reviewer)
    return connection.execute(wanted).mappings().first()


def drop_claim(connection: Connection, item_id: int, reviewer: str) -> None:
    """End a claim."""
    connection.execute(delete(claims).where(claims.c.item_id == item_id, claims.c.reviewer == reviewer))


def make_place(connection: Connection, item: Item, reviewer: str, now: int) -> None:
    """Let a lapsed lease go where every place is taken.

    Raises:
        Conflict: none has lapsed.
    """
    wanted = select(claims).where(claims.c.item_id == item.id, claims.c.reviewer != reviewer)
    held = connection.execute(wanted.order_by(claims.c.until_ms)).mappings().all()
    n_too_many = len(held) + 1 - places_of(item)
    if n_too_many <= 0:
        return
    lapsed = [row for row in held if row["until_ms"] <= now]
    if len(lapsed) < n_too_many:
        raise _held_by(held[len(lapsed)])
    for row in lapsed[:n_too_many]:
        drop_claim(connection, item.id, row["reviewer"])


def decided(connection: Connection, item: Item) -> Conflict:
    """Return the conflict of an item that is settled: who settled it, and how."""
    wanted = select(answers).where(answers.c.item_id == item.id, OPINION)
    row = (
        connection.execute(wanted.order_by(answers.c.is_final.desc(), answers.c.id.desc()).limit(1)).mappings().first()
    )
    if row is None:
        by = item.closed_by or "somebody"
        return Conflict(f"{by} has decided it outside of the queue; take the next one", decided_by=item.closed_by)
    return decided_by(row)


def decided_by(row: RowMapping) -> Conflict:
    """Return the conflict of an answer."""
    return Conflict(
        f"{row['reviewer']} has answered it: {row['outcome']}; take the next one",
        decided_by=row["reviewer"],
        outcome=row["outcome"],
    )


def opinions_on(connection: Connection, item: Item) -> tuple[Opinion, ...]:
    """Return what was answered on an item that is in dispute, without names, in an order that tells nothing."""
    columns = (answers.c.outcome, answers.c.category, answers.c.reason, answers.c.note)
    wanted = select(*columns).where(answers.c.item_id == item.id, OPINION).order_by(answers.c.decision_id)
    return tuple(Opinion(*row) for row in connection.execute(wanted))


def log_claim(connection: Connection, action: str, reviewer: str, item: Item, now: int) -> None:
    """Note who held what, apart from the decisions."""
    log_access(connection, reviewer, action, {}, item_id=item.id, chat_hash=item.chat_hash, at_ms=now)


def _check_is_for(connection: Connection, item: Item, reviewer: str, *, is_admin: bool) -> None:
    is_for = select(items.c.id).where(items.c.id == item.id, answerable(reviewer, is_admin=is_admin))
    if connection.execute(is_for).first() is not None:
        return
    own = select(answers).where(answers.c.item_id == item.id, answers.c.reviewer == reviewer, OPINION)
    row = connection.execute(own).mappings().first()
    if row is not None:
        raise decided_by(row)
    raise NotInQueue


def _holder(connection: Connection, item: Item, now: int) -> Conflict | None:
    wanted = select(claims).where(claims.c.item_id == item.id, claims.c.until_ms > now).order_by(claims.c.until_ms)
    row = connection.execute(wanted.limit(1)).mappings().first()
    return None if row is None else _held_by(row)


def _held_by(row: RowMapping) -> Conflict:
    return Conflict(
        f"{row['reviewer']} has claimed it; take the next one",
        claimed_by=row["reviewer"],
        until_ms=row["until_ms"],
    )


def _prolong(connection: Connection, item_id: int, reviewer: str, until_ms: int) -> None:
    own = (claims.c.item_id == item_id, claims.c.reviewer == reviewer)
    connection.execute(update(claims).where(*own).values(until_ms=until_ms))
