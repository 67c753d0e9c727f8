"""How many verdicts of an hour had what, added up."""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from sqlalchemy import Connection, func, select

from console.store.dialect import upsert
from console.store.tables import counts

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS


class Counted(NamedTuple):
    """What is counted: a row of `counts` without its number."""

    hour_ms: int
    what: str
    policy: str
    """Empty where it is of none."""
    key: str


def add_counts(connection: Connection, numbers: Mapping[Counted, int]) -> None:
    """Add numbers to those that stand there, in the caller's transaction."""
    if not numbers:
        return
    # In one order, so that two transactions cannot each wait for a row that the other has locked.
    rows = [{**one._asdict(), "n": n} for one, n in sorted(numbers.items())]
    put = upsert(connection, counts)
    key = [counts.c.hour_ms, counts.c.what, counts.c.policy, counts.c.key]
    connection.execute(put.on_conflict_do_update(index_elements=key, set_={"n": counts.c.n + put.excluded.n}), rows)


def set_once(connection: Connection, numbers: Mapping[Counted, int]) -> None:
    """Write numbers that stay as the first transaction has written them."""
    if numbers:
        rows = [{**one._asdict(), "n": n} for one, n in sorted(numbers.items())]
        connection.execute(upsert(connection, counts).on_conflict_do_nothing(), rows)


def totals(
    connection: Connection, whats: Iterable[str], *, since_ms: int, until_ms: int
) -> dict[tuple[str, str, str], int]:
    """Return the sums over some hours by what, policy and key.

    Args:
        connection: To read with.
        whats: What is wanted.
        since_ms: First hour.
        until_ms: The hour to stop before.
    """
    rows = connection.execute(
        select(counts.c.what, counts.c.policy, counts.c.key, func.sum(counts.c.n))
        .where(counts.c.what.in_(list(whats)), counts.c.hour_ms >= since_ms, counts.c.hour_ms < until_ms)
        .group_by(counts.c.what, counts.c.policy, counts.c.key)
    )
    return {(what, policy, key): int(n) for what, policy, key, n in rows}
