"""Take items into the queue, and close those that a person has answered by another way. In the caller's transaction.

Nothing drops out of the queue: a newer text of a chat leaves the item of an older one open, for the older decision may
still stand on what was shown beside it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from console.review.arriving import moment_ms
from console.store.dialect import upsert
from console.store.erasing import HashesOf, chunks, erased_since
from console.store.tables import answers, claims, items, overridden
from schemas import Verdict

_ON_ITS_WAY_MS: Final = 600_000
"""An override that was taken back may still be answered by the worker for so long."""
_REFRESHED: Final = (
    "verdict_id", "topic", "partition", "record_offset", "timestamp_ms", "policies", "taxonomy", "category",
    "evidence", "language", "unevaluated", "model", "risk", "decided_ms",
)  # fmt: skip
"""What an item has from the newest verdict on its text."""

Row = dict[str, Any]


class Taken(NamedTuple):
    """What became of rows."""

    n_new: int
    n_refreshed: int
    """Reviews on a text that waits already."""
    n_erased: int
    """Of chats that were erased since."""


def take_in(connection: Connection, rows: Sequence[Row], hashes_of: HashesOf, *, now_ms: int) -> Taken:
    """Take rows of `items`, in the order in which they came; those that are there already change nothing.

    Args:
        connection: Of `Store.writing`.
        rows: As `console.review.arriving` makes them.
        hashes_of: Makes the keyed hashes of a chat_id.
        now_ms: Now.
    """
    wanted = _without_erased(connection, rows, hashes_of)
    n_erased = len(rows) - len(wanted)
    wanted = _without_known(connection, wanted)
    waiting = _waiting(connection, wanted)
    new: dict[tuple[str, str], Row] = {}
    refreshed: dict[int, Row] = {}
    for row in wanted:
        text = (row["chat_id"], row["fingerprint"])
        stands = waiting.get(text) if row["kind"] == "review" else None
        if stands is None:
            new[row["kind"], row["verdict_id"]] = row
            if row["kind"] == "review":
                waiting[text] = row
        elif _is_newer(row, stands):
            stands |= {name: row[name] for name in _REFRESHED} | {"order_ms": min(row["order_ms"], stands["order_ms"])}
            if "id" in stands:
                refreshed[stands["id"]] = stands
    for number, row in refreshed.items():
        changed = {name: row[name] for name in (*_REFRESHED, "order_ms")}
        connection.execute(update(items).where(items.c.id == number).values(changed))
    _mark_overridden(connection, [row for row in new.values() if row["kind"] == "review"], now_ms)
    if new:
        every = [{"closed_ms": None, "closed_why": None, "closed_by": None} | row for row in new.values()]
        connection.execute(insert(items), every)
    return Taken(len(new), len(refreshed), n_erased)


def close_answered(connection: Connection, overrides: Iterable[Verdict], *, now_ms: int) -> int:
    """Close the open reviews of texts on which a person has decided by another way, and note who.

    Samples stay open, since overrides are mostly given where the model is wrong; appeals too, whose callers wait.

    Args:
        connection: Of `Store.writing`.
        overrides: Verdicts of which `is_answered_by` is true.
        now_ms: Now.

    Returns:
        How many items were closed.
    """
    n_closed = 0
    for verdict in overrides:
        source, decided_ms = verdict.source, moment_ms(verdict)
        place = {"topic": source.topic, "partition": source.partition, "record_offset": source.offset}
        put = upsert(connection, overridden).values(**place, decided_ms=decided_ms, actor=verdict.actor)
        connection.execute(put.on_conflict_do_nothing())
        ids = _open_on_text(connection, verdict.chat_id, verdict.content_fingerprint)
        # The answer to an override that its reviewer has taken back comes after the item is open again.
        taken_back = select(answers.c.item_id).where(
            answers.c.item_id.in_(ids), answers.c.undone_ms > decided_ms - _ON_ITS_WAY_MS
        )
        if ids and (ids := ids - set(connection.execute(taken_back).scalars())):
            connection.execute(update(items).where(items.c.id.in_(ids)).values(_closed(now_ms, verdict.actor)))
            connection.execute(delete(claims).where(claims.c.item_id.in_(ids)))
        n_closed += len(ids)
    return n_closed


def _without_erased(connection: Connection, rows: Sequence[Row], hashes_of: HashesOf) -> list[Row]:
    """Return the rows without those of chats that were erased after their events were written."""
    names = {row["chat_id"]: hashes_of(row["chat_id"]) for row in rows}
    erased = erased_since(connection, (name for some in names.values() for name in some))
    if not erased:
        return list(rows)
    return [row for row in rows if not any(erased.get(name, -1) >= _written_ms(row) for name in names[row["chat_id"]])]


def _without_known(connection: Connection, rows: Sequence[Row]) -> list[Row]:
    """Return the rows without those whose verdict has its item, and each verdict once."""
    known: set[tuple[str, str]] = set()
    kinds = sorted({row["kind"] for row in rows})
    for ids in chunks({row["verdict_id"] for row in rows}):
        found = select(items.c.kind, items.c.verdict_id).where(items.c.kind.in_(kinds), items.c.verdict_id.in_(ids))
        known |= {(kind, verdict_id) for kind, verdict_id in connection.execute(found)}
    wanted = []
    for row in rows:
        name = (row["kind"], row["verdict_id"])
        if name not in known:
            known.add(name)
            wanted.append(row)
    return wanted


def _waiting(connection: Connection, rows: Sequence[Row]) -> dict[tuple[str, str], Row]:
    """Return the open reviews of the chats of reviews, by chat and fingerprint."""
    columns = [items.c[name] for name in ("id", "kind", "state", "chat_id", "fingerprint", "order_ms", *_REFRESHED)]
    waiting: dict[tuple[str, str], Row] = {}
    for chats in chunks({row["chat_id"] for row in rows if row["kind"] == "review"}):
        of_chats = select(*columns).where(items.c.chat_id.in_(chats))
        for row in connection.execute(of_chats).mappings():
            if _is_waiting(row):
                waiting[row["chat_id"], row["fingerprint"]] = dict(row)
    return waiting


def _open_on_text(connection: Connection, chat_id: str, fingerprint: str) -> set[int]:
    """Return the open reviews of one text."""
    columns = (items.c.id, items.c.kind, items.c.state, items.c.fingerprint)
    of_chat = connection.execute(select(*columns).where(items.c.chat_id == chat_id)).mappings()
    return {row["id"] for row in of_chat if _is_waiting(row) and row["fingerprint"] == fingerprint}


def _is_waiting(row: RowMapping) -> bool:
    # Not in the statement: SQLite might look for the many that are open, in place of the few of a chat.
    return bool(row["kind"] == "review" and row["state"] == "open")


def _is_newer(row: Row, stands: Row) -> bool:
    if (row["topic"], row["partition"]) == (stands["topic"], stands["partition"]):
        return bool(row["record_offset"] > stands["record_offset"])
    return bool(row["decided_ms"] > stands["decided_ms"])


def _mark_overridden(connection: Connection, rows: Sequence[Row], now_ms: int) -> None:
    """Close those on whose record a person has decided before they came."""
    by_partition: dict[tuple[str, int], dict[int, Row]] = {}
    for row in rows:
        by_partition.setdefault((row["topic"], row["partition"]), {})[row["record_offset"]] = row
    for (topic, partition), by_offset in by_partition.items():
        of_partition = select(overridden).where(overridden.c.topic == topic, overridden.c.partition == partition)
        for some in chunks(by_offset):
            for found in connection.execute(of_partition.where(overridden.c.record_offset.in_(some))):
                by_offset[found.record_offset] |= _closed(now_ms, found.actor)


def _closed(now_ms: int, actor: str | None) -> Mapping[str, Any]:
    return {"state": "done", "closed_ms": now_ms, "closed_why": "override", "closed_by": actor}


def _written_ms(row: Row) -> int:
    at: int = row["timestamp_ms"] if row["timestamp_ms"] >= 0 else row["decided_ms"]
    return at
