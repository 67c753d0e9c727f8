"""How often somebody may fail to log in: by name and by address, so that neither is guessed at leisure.

Who succeeds gets the attempt back, and has from then on a bucket of their own for that name at that address: nobody
locks a person out by guessing from elsewhere. These buckets belong to this process. A console with a database counts
there (`console.store.login_attempts`), and here only while that is away.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from console.port.rate import RateLimit, RateLimits


class Allowance(NamedTuple):
    """Failures at once, then one every so many seconds."""

    burst: int
    every_s: float


OF_NAME: Final = Allowance(burst=10, every_s=30.0)
OF_ADDRESS: Final = Allowance(burst=30, every_s=5.0)
"""More than a name's: behind a proxy many people share an address."""


class SharedAttempts(Protocol):
    """Failed logins that several processes count together; called in threads."""

    def wait_s(self, name: str | None, address: str) -> int | None:
        """Return what `Attempts.wait_s` does; None where it is not known now."""

    def succeeded(self, name: str | None, address: str) -> None:
        """Take an attempt back."""


class Attempts:
    """Failed logins; for one event loop.

    Args:
        clock: Monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._names = RateLimits(1 / OF_NAME.every_s, OF_NAME.burst, clock)
        self._own = RateLimits(1 / OF_NAME.every_s, OF_NAME.burst, clock)
        self._addresses = RateLimits(1 / OF_ADDRESS.every_s, OF_ADDRESS.burst, clock)

    def wait_s(self, name: str | None, address: str) -> int:
        """Return 0 and count an attempt where one is allowed now, else the whole seconds until one is.

        Args:
            name: Of a user, also one that does not exist; None where a key is tried.
            address: Of the connection's other end.
        """
        buckets = self._of(name, address)
        if wait_s := max(bucket.wait_s() for bucket in buckets):
            return wait_s
        for bucket in buckets:
            bucket.spend(1)
        return 0

    def succeeded(self, name: str | None, address: str) -> None:
        """Take an attempt back: it was no guess."""
        for bucket in self._of(name, address):
            bucket.spend(-1)
        if name is not None:
            self._own.of(_pair(name, address))

    def _of(self, name: str | None, address: str) -> list[RateLimit]:
        named = [] if name is None else [self._own.known(_pair(name, address)) or self._names.of(name)]
        return [*named, self._addresses.of(address)]


def _pair(name: str, address: str) -> str:
    # No address holds a blank.
    return f"{address} {name}"
