"""How often somebody may fail to log in, counted in the database: consoles share it, and a restart forgets nothing.

The rules are those of `console.port.attempts`: a bucket for each name and one for each address, and one of their own
for whoever has logged in under a name at an address. A bucket is one number: when it will be full again.

Invariant: an attempt that one bucket refuses takes nothing from another one, so that whoever guesses at one name locks
out neither other names nor those who share the address. No name and no address stands here, but digests: people type
passwords into the wrong field. What is over goes with all else that is old (`console.store.pruning`).
"""

import hashlib
from collections.abc import Mapping
from typing import Final, NamedTuple

import structlog
from sqlalchemy import Connection, case, select, update

from console.port.attempts import OF_ADDRESS, OF_NAME, Allowance
from console.store.counting import DAY_MS
from console.store.dialect import database_ms, upsert
from console.store.store import Store, StoreAway
from console.store.tables import login_attempts

log = structlog.get_logger()

_OWN_MS: Final = 30 * DAY_MS
"""How long it is known that a person has logged in at an address."""


class _Bucket(NamedTuple):
    key: str
    allowance: Allowance

    @property
    def every_ms(self) -> int:
        return round(self.allowance.every_s * 1_000)

    def wait_ms(self, full_ms: int, now: int) -> int:
        """Return how long until an attempt is allowed; 0 and less: now."""
        return full_ms - now - (self.allowance.burst - 1) * self.every_ms


class StoredAttempts:
    """Failed logins of all consoles of a database; for any thread.

    Args:
        store: The database.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def wait_s(self, name: str | None, address: str) -> int | None:
        """Return 0 and count an attempt where one is allowed now, else the whole seconds until one is.

        Args:
            name: Of a user, also one that does not exist; None where a key is tried.
            address: Of the connection's other end.

        Returns:
            None: the database does not answer, and whoever asks counts by themselves.
        """
        try:
            # First without the lock of those who write: whoever hammers at the port must not keep reviewers waiting.
            with self._store.reading() as connection:
                if wait_ms := _wait_ms(connection, name, address):
                    return -(-wait_ms // 1_000)
            with self._store.writing() as connection:
                if wait_ms := _wait_ms(connection, name, address, is_counted=True):
                    return -(-wait_ms // 1_000)
        except StoreAway as error:
            log.warning("store_away", op="login", error=str(error), consequence="this console counts by itself")
            return None
        return 0

    def succeeded(self, name: str | None, address: str) -> None:
        """Take an attempt back: it was no guess. Nothing where the database does not answer."""
        try:
            with self._store.writing() as connection:
                now = database_ms(connection)
                table = login_attempts.c
                for bucket in sorted(_buckets(_found(connection, name, address), name, address)):
                    back = update(login_attempts).where(table.key == bucket.key)
                    connection.execute(back.values(full_ms=table.full_ms - bucket.every_ms))
                if name is not None:
                    own = {"key": _own(name, address), "full_ms": now, "kept_until_ms": now + _OWN_MS}
                    put = upsert(connection, login_attempts).values(own)
                    renewed = {"kept_until_ms": put.excluded.kept_until_ms}
                    connection.execute(put.on_conflict_do_update(index_elements=[table.key], set_=renewed))
        except StoreAway as error:
            log.warning("store_away", op="login", error=str(error), consequence="one attempt more is counted")


def _wait_ms(connection: Connection, name: str | None, address: str, *, is_counted: bool = False) -> int:
    now = database_ms(connection)
    found = _found(connection, name, address, is_locked=is_counted)
    buckets = _buckets(found, name, address)
    wait_ms = max(bucket.wait_ms(found.get(bucket.key, 0), now) for bucket in buckets)
    if wait_ms > 0:
        return wait_ms
    if is_counted:
        table = login_attempts.c
        # In one order, so that two transactions cannot each wait for a row that the other has locked.
        for bucket in sorted(buckets):
            full_ms = now + bucket.every_ms
            put = upsert(connection, login_attempts).values(key=bucket.key, full_ms=full_ms, kept_until_ms=full_ms)
            later = case((table.full_ms > now, table.full_ms), else_=now) + bucket.every_ms
            kept = case((table.kept_until_ms > later, table.kept_until_ms), else_=later)
            counted = put.on_conflict_do_update(
                index_elements=[table.key], set_={"full_ms": later, "kept_until_ms": kept}
            )
            connection.execute(counted)
    return 0


def _found(connection: Connection, name: str | None, address: str, *, is_locked: bool = False) -> Mapping[str, int]:
    """Return when the buckets that may count will be full, by key; those that are full may be missing."""
    keys = [_key("address", address), *([] if name is None else [_key("name", name), _own(name, address)])]
    table = login_attempts.c
    wanted = select(table.key, table.full_ms).where(table.key.in_(keys)).order_by(table.key)
    rows = connection.execute(wanted.with_for_update() if is_locked else wanted)
    return {row.key: row.full_ms for row in rows}


def _buckets(found: Mapping[str, int], name: str | None, address: str) -> list[_Bucket]:
    of_address = _Bucket(_key("address", address), OF_ADDRESS)
    if name is None:
        return [of_address]
    own = _own(name, address)
    return [_Bucket(own if own in found else _key("name", name), OF_NAME), of_address]


def _own(name: str, address: str) -> str:
    # No address holds a blank.
    return _key("own", f"{address} {name}")


def _key(kind: str, text: str) -> str:
    return hashlib.sha256(f"{kind} {text}".encode("utf-8", "surrogatepass")).hexdigest()
