"""What is still to be sent: rows that stand in the transaction of what they tell of, and the forms of their bodies.

A row goes through four states. It waits, and can be cancelled; it is started, and may be on its topic; it is sent, or
refused for good. A console that is killed between start and sent leaves a row that the next one sends again.

Invariant: a row is cancelled or started, never both.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, NamedTuple

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, insert, or_, select, update

from console.store.outbox_bodies import (
    BODIES,
    EVERY_POLICY,
    OVERRIDES,
    Body,
    FeedbackBody,
    Kind,
    OverrideClearBody,
    OverrideSetBody,
    UnreadableBody,
    WebhookBody,
)
from console.store.tables import answers, outbox

__all__ = [
    "EVERY_POLICY",
    "OUTBOX",
    "OVERRIDES",
    "TOLD",
    "Body",
    "FeedbackBody",
    "Kind",
    "OutboxRow",
    "OverrideClearBody",
    "OverrideSetBody",
    "Sending",
    "State",
    "UnreadableBody",
    "WebhookBody",
    "about",
    "again",
    "cancel",
    "dismiss",
    "due",
    "failed",
    "hurry",
    "is_said_by",
    "next_due_ms",
    "put",
    "refused",
    "revision_of",
    "sending",
    "sent",
    "start",
    "unsent",
]

TOLD: Final = "told"
"""Execution option of a writing transaction: the set of names whose listeners are called after its commit."""
OUTBOX: Final = "outbox"
"""The name that `put` adds there."""

FIRST_WAIT_MS: Final = 1_000
_MOST_DOUBLINGS: Final = 6
_ERROR_CHARACTERS: Final = 500


State = Literal["waiting", "sent", "cancelled", "refused"]


class Sending(NamedTuple):
    """How far a row has come."""

    state: State
    sent_ms: int | None
    error: str | None


class OutboxRow(NamedTuple):
    """A row as its sender has it."""

    id: int
    decision_id: str
    kind: Kind
    chat_id: str | None
    body: Body
    created_ms: int
    not_before_ms: int
    n_tries: int
    revision: int | None


def put(
    connection: Connection,
    kind: Kind,
    decision_id: str,
    body: Body,
    *,
    chat_id: str | None,
    chat_hash: str | None,
    not_before_ms: int,
    created_ms: int | None = None,
) -> int:
    """Add a row in the caller's transaction, and let the sender be woken once that is committed.

    Args:
        connection: Of `Store.writing`.
        kind: What it is.
        decision_id: At most 32 characters; one row of a kind a decision.
        body: The model of the kind.
        chat_id: Of the chat that it tells of, by which erasure finds it; None where there is none.
        chat_hash: Its keyed hash; None without a key.
        not_before_ms: When it is sent at the earliest.
        created_ms: Now; None: `not_before_ms`.

    Returns:
        The row's number.

    Raises:
        TypeError: the body is another kind's.
        IntegrityError: there is one of this decision and kind already.
    """
    if not isinstance(body, BODIES[kind]):
        raise TypeError(f"body is {type(body).__name__}; expected {BODIES[kind].__name__} of kind {kind.value}")
    values = {
        "decision_id": decision_id,
        "kind": kind.value,
        "chat_id": chat_id,
        "chat_hash": chat_hash,
        "body": body.model_dump_json().encode(),
        "created_ms": not_before_ms if created_ms is None else created_ms,
        "not_before_ms": not_before_ms,
    }
    (row_id,) = connection.execute(insert(outbox).values(values)).inserted_primary_key or (0,)
    connection.get_execution_options().get(TOLD, set()).add(OUTBOX)
    return int(row_id)


_UNSENT: Final = and_(outbox.c.sent_ms.is_(None), outbox.c.cancelled_ms.is_(None), outbox.c.refused_ms.is_(None))


_OVERRIDES: Final = [kind.value for kind in OVERRIDES]
_earlier = outbox.alias("earlier")
_MAY_GO: Final = or_(
    outbox.c.kind.not_in(_OVERRIDES),
    ~select(_earlier.c.id)
    .where(
        _earlier.c.chat_id == outbox.c.chat_id,
        _earlier.c.id < outbox.c.id,
        _earlier.c.kind.in_(_OVERRIDES),
        _earlier.c.sent_ms.is_(None),
        _earlier.c.cancelled_ms.is_(None),
        _earlier.c.refused_ms.is_(None),
    )
    .exists(),
)
"""An override waits for every earlier one of its chat: the topic keeps the last that is written, which must be the last
that was decided."""


def unsent(kinds: tuple[Kind, ...] = tuple(Kind)) -> ColumnElement[bool]:
    """Return the condition that a row is of one of these kinds, and neither sent, cancelled nor refused."""
    return and_(_UNSENT, outbox.c.kind.in_([kind.value for kind in kinds]))


def due(connection: Connection, now: int, limit: int, kinds: tuple[Kind, ...] = tuple(Kind)) -> list[OutboxRow]:
    """Return what is to be sent now, the oldest first; of a chat's overrides only the first.

    A body that cannot be read comes as an UnreadableBody.

    Args:
        connection: Any.
        now: Milliseconds since 1970.
        limit: How many at most.
        kinds: Of which kinds.
    """
    is_due = and_(outbox.c.not_before_ms <= now, outbox.c.next_try_ms <= now)
    found = connection.execute(select(outbox).where(unsent(kinds), is_due, _MAY_GO).order_by(outbox.c.id).limit(limit))
    return [_row(one) for one in found.mappings()]


def next_due_ms(connection: Connection, kinds: tuple[Kind, ...] = tuple(Kind)) -> int | None:
    """Return when the next row of these kinds is due, milliseconds since 1970; None where none waits."""
    mine = and_(unsent(kinds), _MAY_GO)
    later = outbox.c.next_try_ms > outbox.c.not_before_ms
    times = select(func.min(outbox.c.not_before_ms)).where(mine, ~later)
    tries = select(func.min(outbox.c.next_try_ms)).where(mine, later)
    found = [connection.execute(one).scalar() for one in (times, tries)]
    return min((one for one in found if one is not None), default=None)


def start(connection: Connection, row_id: int, now: int, revision: int | None = None) -> bool:
    """Mark a row as started; False where it was cancelled, sent or refused meanwhile, or has another revision.

    Args:
        connection: Of `Store.writing`.
        row_id: The row.
        now: Milliseconds since 1970.
        revision: Of an override: kept from the first try on.
    """
    wanted = [_UNSENT, outbox.c.id == row_id]
    if revision is not None:
        wanted.append(or_(outbox.c.revision.is_(None), outbox.c.revision == revision))
    values: dict[str, Any] = {"started_ms": func.coalesce(outbox.c.started_ms, now)}
    if revision is not None:
        values["revision"] = revision
    return connection.execute(update(outbox).where(*wanted).values(values)).rowcount == 1


def sent(connection: Connection, row_id: int, now: int, note: str | None = None) -> None:
    """Mark a row as sent.

    Args:
        connection: Of `Store.writing`.
        row_id: The row.
        now: Milliseconds since 1970.
        note: Why nothing had to be written, where that is so; kept as `error`.
    """
    values = {"sent_ms": now, "error": note, "n_tries": outbox.c.n_tries + 1}
    connection.execute(update(outbox).where(outbox.c.id == row_id, outbox.c.sent_ms.is_(None)).values(values))


def failed(connection: Connection, row_id: int, now: int, error: str, *, first_wait_ms: int = FIRST_WAIT_MS) -> None:
    """Mark a try as failed; each wait is twice the one before, up to 64 times the first.

    Args:
        connection: Of `Store.writing`.
        row_id: The row.
        now: Milliseconds since 1970.
        error: What happened; no chat text, no chat id.
        first_wait_ms: After the first try.
    """
    n_tries = connection.execute(select(outbox.c.n_tries).where(outbox.c.id == row_id)).scalar() or 0
    wait_ms = first_wait_ms * 2 ** min(n_tries, _MOST_DOUBLINGS)
    values = {"n_tries": n_tries + 1, "next_try_ms": now + wait_ms, "error": error[:_ERROR_CHARACTERS]}
    connection.execute(update(outbox).where(outbox.c.id == row_id, _UNSENT).values(values))


def hurry(connection: Connection, now: int, kinds: tuple[Kind, ...]) -> None:
    """Let rows of these kinds that were put off be tried now."""
    connection.execute(update(outbox).where(unsent(kinds), outbox.c.next_try_ms > now).values(next_try_ms=now))


def refused(connection: Connection, row_id: int, now: int, error: str) -> None:
    """Mark a row as refused for good: it is not tried again unless an admin says so, and holds nobody up."""
    values = {"refused_ms": now, "n_tries": outbox.c.n_tries + 1, "error": error[:_ERROR_CHARACTERS]}
    connection.execute(update(outbox).where(outbox.c.id == row_id, _UNSENT).values(values))


def cancel(connection: Connection, decision_id: str, now: int) -> bool:
    """Cancel what a decision has in the outbox and is not started.

    Args:
        connection: Of `Store.writing`.
        decision_id: Of the decision.
        now: Milliseconds since 1970.

    Returns:
        Whether all of it was cancelled. False: something is on its way or sent already; an `override_clear` that names
        the decision as what it undoes takes that back.
    """
    mine = outbox.c.decision_id == decision_id
    not_started = and_(_UNSENT, outbox.c.started_ms.is_(None))
    connection.execute(update(outbox).where(mine, not_started).values(cancelled_ms=now))
    left = select(func.count()).select_from(outbox).where(mine, outbox.c.cancelled_ms.is_(None))
    return connection.execute(left).scalar_one() == 0


def again(connection: Connection, row_id: int, now: int) -> bool:
    """Let a refused row be tried again, also one that was dismissed; False where it is not refused."""
    values = {"refused_ms": None, "dismissed_ms": None, "next_try_ms": now, "n_tries": 0}
    wanted = (outbox.c.id == row_id, outbox.c.refused_ms.is_not(None))
    is_again = connection.execute(update(outbox).where(*wanted).values(values)).rowcount == 1
    connection.get_execution_options().get(TOLD, set()).add(OUTBOX)
    return is_again


def dismiss(connection: Connection, row_id: int, now: int) -> bool:
    """Mark a refused row as one that need not be sent; False where it is not refused, or was dismissed before.

    It stays refused, and so what undoes its decision still looks whether an earlier try may have reached the topic.
    """
    wanted = (outbox.c.id == row_id, outbox.c.refused_ms.is_not(None), outbox.c.dismissed_ms.is_(None))
    return connection.execute(update(outbox).where(*wanted).values(dismissed_ms=now)).rowcount == 1


def about(connection: Connection, row_id: int) -> Mapping[str, Any]:
    """Return what the log says of a row: its number, kind and decision, and the keyed hash of its chat."""
    c = outbox.c
    row = connection.execute(select(c.id, c.kind, c.decision_id, c.chat_hash).where(c.id == row_id)).mappings().one()
    return dict(row)


def sending(connection: Connection, decision_id: str, kind: Kind) -> Sending | None:
    """Return how far a decision's row has come; None where there is none."""
    wanted = (outbox.c.decision_id == decision_id, outbox.c.kind == kind.value)
    row = connection.execute(select(outbox).where(*wanted)).mappings().first()
    if row is None:
        return None
    state: State = "waiting"
    if row["sent_ms"] is not None:
        state = "sent"
    elif row["cancelled_ms"] is not None:
        state = "cancelled"
    elif row["refused_ms"] is not None:
        state = "refused"
    return Sending(state, row["sent_ms"], row["error"])


def is_said_by(connection: Connection, decision_id: str, person: str) -> bool:
    """Say whether all that a decision has in the outbox is a person's, and not of an answer of the queue."""
    if connection.execute(select(answers.c.id).where(answers.c.decision_id == decision_id)).first() is not None:
        return False
    found = connection.execute(select(outbox).where(outbox.c.decision_id == decision_id)).mappings()
    bodies = [_body(Kind(row["kind"]), row["body"]) for row in found]
    return {getattr(body, "actor", None) or getattr(body, "reporter", None) for body in bodies} == {person}


def revision_of(connection: Connection, decision_id: str) -> int | None:
    """Return the revision under which a decision was or will be written; None where it was given none yet."""
    wanted = (outbox.c.decision_id == decision_id, outbox.c.kind == Kind.OVERRIDE_SET.value)
    return connection.execute(select(outbox.c.revision).where(*wanted)).scalar()


def _row(found: RowMapping) -> OutboxRow:
    kind = Kind(found["kind"])
    return OutboxRow(
        found["id"],
        found["decision_id"],
        kind,
        found["chat_id"],
        _body(kind, found["body"]),
        found["created_ms"],
        found["not_before_ms"],
        found["n_tries"],
        found["revision"],
    )


def _body(kind: Kind, raw: bytes) -> Body:
    try:
        return BODIES[kind].model_validate_json(raw)
    except ValidationError:
        # One row must not keep all others from being sent.
        return UnreadableBody()
