"""How the outbox stands: of a chat, and as a whole."""

from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, case, func, or_, select

from console.store.outbox_bodies import OVERRIDES, Kind
from console.store.outbox_rows import unsent
from console.store.tables import outbox

# What was not sent is few, and an index finds it.
_REFUSED: Final = and_(outbox.c.sent_ms.is_(None), outbox.c.refused_ms.is_not(None), outbox.c.dismissed_ms.is_(None))


class Backlog(NamedTuple):
    """What has not been sent."""

    n_waiting: int
    """Due, started or not."""
    oldest_ms: int | None
    """Since when the oldest of them is due; None where there is none. An answer on an appeal that its host did not take
    is left out: it rests for minutes between its tries, and no fault of ours keeps it."""
    n_refused: int
    """For good, and not dismissed."""


class Refusal(NamedTuple):
    """A row that was refused for good."""

    row: int
    decision_id: str
    kind: str
    created_ms: int
    refused_ms: int
    n_tries: int
    error: str | None


def refusals(connection: Connection, limit: int = 100) -> list[Refusal]:
    """Return the rows that were refused for good and not dismissed, the newest first."""
    c = outbox.c
    columns = (c.id, c.decision_id, c.kind, c.created_ms, c.refused_ms, c.n_tries, c.error)
    found = select(*columns).where(_REFUSED).order_by(c.refused_ms.desc(), c.id.desc()).limit(limit)
    return [Refusal(*row) for row in connection.execute(found)]


def waiting_of_chat(connection: Connection, chat_id: str) -> int:
    """Return how many overrides of a chat are not sent yet, those within their time for undoing among them."""
    wanted = and_(unsent(OVERRIDES), outbox.c.chat_id == chat_id)
    return connection.execute(select(func.count()).select_from(outbox).where(wanted)).scalar_one()


def backlog(connection: Connection, now: int) -> Backlog:
    """Return what has not been sent."""
    is_ours = or_(outbox.c.kind != Kind.WEBHOOK.value, outbox.c.n_tries == 0)
    of_due = select(func.count(), func.min(case((is_ours, outbox.c.not_before_ms)))).where(
        unsent(), outbox.c.not_before_ms <= now
    )
    n_waiting, oldest = connection.execute(of_due).one()
    of_refused = select(func.count()).select_from(outbox).where(_REFUSED)
    return Backlog(n_waiting, oldest, connection.execute(of_refused).scalar_one())
