"""Clients that ask one after the other: each sends its next request when it has the answer to the last.

Invariant: a request is counted where it ended within the time of the run, whatever its status.
"""

import http.client
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from loadtest.errors import LoadTestError

_TIMEOUT_S: Final = 60.0
_OK: Final = 200
_PERCENTILES: Final = 100

Ask = Callable[[bytes], int]
"""Sends a body and returns the status of the answer."""


@dataclass
class Answers:
    """What came back in one run."""

    latencies_s: list[float] = field(default_factory=list)
    """Of the answers with status 200."""
    statuses: Counter[int] = field(default_factory=Counter)
    elapsed_s: float = 0.0

    @property
    def per_s(self) -> float:
        """Answers with status 200 per second."""
        return self.statuses[_OK] / self.elapsed_s

    def summary(self) -> dict[str, Any]:
        """Return rate, latencies in milliseconds and statuses."""
        slowest = statistics.quantiles(self.latencies_s, n=_PERCENTILES) if len(self.latencies_s) > 1 else []
        return {
            "per_s": round(self.per_s, 2),
            "p50_ms": round(statistics.median(self.latencies_s) * 1_000, 2) if self.latencies_s else None,
            "p99_ms": round(slowest[-1] * 1_000, 2) if slowest else None,
            "statuses": {str(status): n for status, n in sorted(self.statuses.items())},
        }


class Connection:
    """One kept-alive connection.

    Args:
        url: Address with path.
        headers: Sent with every request.
    """

    def __init__(self, url: str, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise LoadTestError(f"{url}: expected http://HOST:PORT/PATH")
        self._path = parts.path or "/"
        self._headers = {"content-type": "application/json", **(headers or {})}
        self._link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=_TIMEOUT_S)

    def ask(self, body: bytes) -> int:
        """Send a body; return the status, 0 where the connection broke."""
        try:
            self._link.request("POST", self._path, body, self._headers)
            response = self._link.getresponse()
            response.read()
        except (OSError, http.client.HTTPException):
            self._link.close()
            return 0
        return response.status

    def close(self) -> None:
        """Close it."""
        self._link.close()


def run_clients(url: str, bodies: Sequence[bytes], *, n_clients: int, seconds: float) -> Answers:
    """Ask from so many clients at once for a time; each body is sent by one client, in order, over and over.

    Args:
        url: Address with path.
        bodies: At least one.
        n_clients: Clients.
        seconds: How long.
    """
    answers, lock, next_body = Answers(), threading.Lock(), _endless(bodies)
    started = time.perf_counter()
    end = started + seconds

    def client() -> None:
        connection = Connection(url)
        try:
            while True:
                with lock:
                    body = next(next_body)
                begun = time.perf_counter()
                if begun >= end:
                    return
                status = connection.ask(body)
                took_s = time.perf_counter() - begun
                with lock:
                    if begun + took_s <= end:
                        answers.statuses[status] += 1
                        if status == _OK:
                            answers.latencies_s.append(took_s)
        finally:
            connection.close()

    threads = [threading.Thread(target=client) for _ in range(n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers.elapsed_s = seconds
    return answers


def _endless(bodies: Sequence[bytes]) -> Iterator[bytes]:
    while True:
        yield from bodies
