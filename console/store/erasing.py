"""Forget chats: what stands of them in the database goes, and what is of before is not taken in again.

An erased item stays as a number in figures: its category, evidence and answers say nothing of whose chat it was. Its
chat_id, the place of its text, the text's fingerprint and signature and all notes go; its keyed hash stays, as in the
audit log. Callers who appealed are still told: an open appeal is answered as erased, and no answer names the chat.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, case, delete, select, update

from console.store.appeal_answers import answer_erased, unname
from console.store.dialect import upsert
from console.store.outbox_bodies import Kind
from console.store.tables import answers, appeals, claims, erasures, items, outbox, signatures

ERASED: Final = "erased"
_AT_ONCE: Final = 500
"""Values of one IN: SQLite takes 32,766."""

HashesOf = Callable[[str], Sequence[str]]
"""Returns the keyed hashes of a chat_id, under the present key first."""


def chunks(values: Iterable[Any]) -> Iterator[list[Any]]:
    """Yield values in lists that one statement takes."""
    every = list(values)
    for at in range(0, len(every), _AT_ONCE):
        yield every[at : at + _AT_ONCE]


def erase_chats(connection: Connection, erased: Mapping[str, int], hashes_of: HashesOf, *, now_ms: int) -> int:
    """Forget chats, as the list of erased chats names them, in the caller's transaction.

    Args:
        connection: Of `Store.writing`.
        erased: By keyed hash when the erasure was asked for, milliseconds. What was written later stays.
        hashes_of: Makes the hashes of a chat_id, for a list that has a hash under another key than ours.
        now_ms: Now.

    Returns:
        How many items were erased.
    """
    if not erased:
        return 0
    put = upsert(connection, erasures)
    connection.execute(
        put.on_conflict_do_update(
            index_elements=[erasures.c.chat_hash],
            set_={"erased_ms": put.excluded.erased_ms},
            where=put.excluded.erased_ms > erasures.c.erased_ms,
        ),
        [{"chat_hash": name, "erased_ms": at} for name, at in sorted(erased.items())],
    )
    return sum(
        _erase_one(connection, name, erased_ms, now_ms) for name, erased_ms in _known(connection, erased, hashes_of)
    )


def erased_since(connection: Connection, hashes: Iterable[str]) -> dict[str, int]:
    """Return which of these hashes are of erased chats, and when that was asked for."""
    found: dict[str, int] = {}
    for names in chunks(set(hashes)):
        rows = connection.execute(select(erasures).where(erasures.c.chat_hash.in_(names)))
        found |= {row.chat_hash: row.erased_ms for row in rows}
    return found


def name_anew(connection: Connection, hashes_of: HashesOf) -> int:
    """Give every row that names a chat its hash under the present key, after the key was exchanged.

    Signatures of texts are under the same key and cannot be made anew without the texts: they go.

    Returns:
        How many chats had none, or another one.
    """
    n_renamed = 0
    for table in (items, outbox):
        named = select(table.c.chat_id, table.c.chat_hash).where(table.c.chat_id.is_not(None)).distinct()
        for chat_id, chat_hash in connection.execute(named).all():
            present = hashes_of(chat_id)
            if present and chat_hash != present[0]:
                of_chat = select(items.c.id).where(items.c.chat_id == chat_id)
                connection.execute(delete(signatures).where(signatures.c.item_id.in_(of_chat)))
                connection.execute(update(table).where(table.c.chat_id == chat_id).values(chat_hash=present[0]))
                n_renamed += 1
    return n_renamed


def _known(connection: Connection, erased: Mapping[str, int], hashes_of: HashesOf) -> Iterator[tuple[str, int]]:
    """Yield the erased chats of which something stands here, by the hash that stands here."""
    stands: set[str] = set()
    for table in (items, outbox):
        for names in chunks(erased):
            stands |= set(connection.execute(select(table.c.chat_hash).where(table.c.chat_hash.in_(names))).scalars())
    yield from ((name, erased[name]) for name in sorted(stands))
    if len(hashes_of("")) <= 1:
        return
    # While keys are exchanged, a worker may still write hashes under the one that is not ours.
    for table in (items, outbox):
        named = select(table.c.chat_id).where(table.c.chat_id.is_not(None)).distinct()
        for chat_id in connection.execute(named).scalars().all():
            present, *others = hashes_of(chat_id)
            yield from ((present, erased[other]) for other in others if other in erased)


def _erase_one(connection: Connection, name: str, erased_ms: int, now_ms: int) -> int:
    # What came after the erasure is a new event of the chat.
    written = case((items.c.timestamp_ms >= 0, items.c.timestamp_ms), else_=items.c.decided_ms)
    of_chat = select(items.c.id).where(items.c.chat_hash == name, items.c.state != ERASED, written <= erased_ms)
    ids = list(connection.execute(of_chat).scalars())
    decisions: set[str] = set()
    for some in chunks(ids):
        decisions |= set(connection.execute(select(answers.c.decision_id).where(answers.c.item_id.in_(some))).scalars())
        connection.execute(delete(claims).where(claims.c.item_id.in_(some)))
        connection.execute(update(answers).where(answers.c.item_id.in_(some)).values(note=None))
        connection.execute(update(appeals).where(appeals.c.item_id.in_(some)).values(note=None))
        answer_erased(connection, some, now_ms)
        gone = dict.fromkeys(("chat_id", "topic", "partition", "record_offset", "timestamp_ms", "fingerprint"))
        closed = {"state": ERASED, "closed_ms": now_ms, "closed_why": ERASED}
        connection.execute(update(items).where(items.c.id.in_(some)).values(**gone, **closed))
        # After the items: a text that is being read at this moment gets no signature any more.
        connection.execute(delete(signatures).where(signatures.c.item_id.in_(some)))
    _erase_unsent(connection, name, decisions, erased_ms)
    return len(ids)


def _erase_unsent(connection: Connection, name: str, decisions: set[str], erased_ms: int) -> None:
    """Delete what was, or was to be, sent about what is erased; a decision on a later event stays.

    Answers for the callers of appeals stay, without the chat's name.
    """
    columns = (outbox.c.id, outbox.c.kind, outbox.c.decision_id, outbox.c.created_ms, outbox.c.body)
    of_chat = connection.execute(select(*columns).where(outbox.c.chat_hash == name)).all()
    found = {row.id: row for row in of_chat if row.created_ms <= erased_ms or _undoes(row.body) in decisions}
    for some in chunks(decisions):
        of_decisions = connection.execute(select(*columns).where(outbox.c.decision_id.in_(some))).all()
        found |= {row.id: row for row in of_decisions}
    for row in found.values():
        if row.kind == Kind.WEBHOOK.value:
            unname(connection, row.id, row.body)
    for some in chunks(row.id for row in found.values() if row.kind != Kind.WEBHOOK.value):
        connection.execute(delete(outbox).where(outbox.c.id.in_(some)))


def _undoes(body: bytes) -> object:
    document = json.loads(body)
    return document.get("undoes") if isinstance(document, dict) else None
