"""The lease under which one console sends, so that what is sent of a chat keeps its order."""

import time
from collections.abc import Callable
from typing import Final

from console.store import leases
from console.store.store import Store

LEASE_MS: Final = 10_000
"""So long after its holder died another console sends."""
_RENEWALS: Final = 3


class Holding:
    """Takes and renews a lease; for one thread.

    Args:
        store: The database.
        name: Of the lease.
        holder: Of this console, different in each process.
        for_ms: How long after its holder died another console takes it.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        holder: str,
        *,
        for_ms: int = LEASE_MS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._name = name
        self._holder = holder
        self._for_ms = for_ms
        self._clock = clock
        self._renewed_s: float | None = None

    def is_mine(self) -> bool:
        """Say whether this console may send now; takes the lease where nobody has it.

        Raises:
            StoreAway: the database does not answer.
        """
        now_s = self._clock()
        if self._renewed_s is not None and now_s - self._renewed_s < self._for_ms / _RENEWALS / 1_000:
            return True
        with self._store.writing() as connection:
            is_mine = leases.take(connection, self._name, self._holder, for_ms=self._for_ms)
        self._renewed_s = now_s if is_mine else None
        return is_mine

    def give_back(self) -> None:
        """Let another console send at once; raises as `is_mine` does."""
        if self._renewed_s is not None:
            self._renewed_s = None
            with self._store.writing() as connection:
                leases.give_back(connection, self._name, self._holder)
