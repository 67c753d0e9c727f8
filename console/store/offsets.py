"""Where the intake goes on, moved in the transaction of what was read: compare and set.

Invariant: the rows of a record are written by the one transaction that moves its partition's offset past it, so two
consoles that read the same records write them once.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from console.store.tables import offsets

Place = tuple[str, int]
"""Topic and partition."""


class OffsetMoved(Exception):  # noqa: N818  the name says what happened
    """Another console has moved an offset: roll back, and go on where it is now."""


def offsets_of(connection: Connection, topics: Iterable[str]) -> dict[Place, int]:
    """Return the next offset of each partition that was read before."""
    found = connection.execute(select(offsets).where(offsets.c.topic.in_(list(topics))))
    return {(row.topic, row.partition): row.next_offset for row in found}


def move(connection: Connection, moves: Mapping[Place, tuple[int | None, int]]) -> None:
    """Move offsets in the caller's transaction.

    Args:
        connection: Of `Store.writing`.
        moves: By partition the next offset as it was read (None: there was none), and as it is to be.

    Raises:
        OffsetMoved: one of them stands elsewhere; the caller's transaction must not be committed.
    """
    # In one order, so that two consoles cannot each wait for a row that the other has locked.
    for (topic, partition), (before, after) in sorted(moves.items()):
        if before is None:
            _begin(connection, topic, partition, after)
            continue
        found = connection.execute(
            update(offsets)
            .where(offsets.c.topic == topic, offsets.c.partition == partition, offsets.c.next_offset == before)
            .values(next_offset=after)
        )
        if found.rowcount != 1:
            raise OffsetMoved(f"{topic}[{partition}]: no longer at {before}")


def _begin(connection: Connection, topic: str, partition: int, after: int) -> None:
    try:
        connection.execute(insert(offsets).values(topic=topic, partition=partition, next_offset=after))
    except IntegrityError:
        raise OffsetMoved(f"{topic}[{partition}]: another console has begun it") from None
