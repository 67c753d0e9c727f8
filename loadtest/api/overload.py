"""More than the server can do: clients that together ask for twice of it, and what each of them got.

Each client asks once per deadline, on a schedule, for so many chats that all clients together offer a multiple of the
measured capacity. A request that is answered or refused within its deadline keeps its client on the schedule, so the
load is an open one, and no more requests are in flight than there are clients.
"""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

OK: Final = 200
REFUSED: Final = 429
GIVEN_UP: Final = 504
_TIMES_THE_DEADLINE: Final = 20
"""A client hangs up after so many deadlines: the server answers nobody."""
_PROBABILITY_STEP: Final = 1.1e-5
"""Rows that share an inference may differ in the sixth decimal."""

Verdict = dict[str, Any]


@dataclass(frozen=True)
class Overload:
    """How much is asked.

    Args:
        n_clients: Clients.
        n_chats: Chats of one request.
        deadline_s: Of each request, and from one request of a client to its next.
        seconds: How long.
    """

    n_clients: int
    n_chats: int
    deadline_s: float
    seconds: float

    @classmethod
    def of_capacity(
        cls, per_s: float, *, times: float, n_clients: int, deadline_s: float, seconds: float
    ) -> "Overload":
        """Return the load that offers a multiple of a capacity in chats per second; whole chats, at least one."""
        n_chats = max(1, round(times * per_s * deadline_s / n_clients))
        return cls(n_clients, n_chats, deadline_s, seconds)

    @property
    def offered_per_s(self) -> float:
        """Chats per second that all clients ask about."""
        return self.n_clients * self.n_chats / self.deadline_s


@dataclass
class Outcome:
    """What came back, by status; a wait runs from sending a request to having read the whole answer."""

    waits_s: dict[int, list[float]] = field(default_factory=dict)
    n_without_retry_after: int = 0
    n_wrong: int = 0
    """Chats whose category or probabilities differ from those of the quiet server, or that have none."""

    def add(self, status: int, wait_s: float) -> None:
        """Note a wait."""
        self.waits_s.setdefault(status, []).append(wait_s)

    @property
    def statuses(self) -> Counter[int]:
        """How many requests got which status; 0: the connection broke."""
        return Counter({status: len(waits) for status, waits in self.waits_s.items()})

    def longest_s(self, *statuses: int) -> float:
        """Return the longest wait that ended with one of these statuses, or with any."""
        chosen = statuses or tuple(self.waits_s)
        return max((wait for status in chosen for wait in self.waits_s.get(status, [])), default=0.0)


def ask_quietly(url: str, chats: Sequence[bytes]) -> dict[str, Verdict]:
    """Return the verdict on each chat by its chat_id, asked one at a time of a server with nothing else to do."""
    asker = _Asker(url, deadline_s=None)
    verdicts = {}
    for chat in chats:
        status, _, body = asker.ask(chat)
        if status != OK:
            raise ValueError(f"status {status} on a quiet server: {body[:200]!r}; expected a verdict")
        verdict = orjson.loads(body)
        verdicts[verdict["chat_id"]] = verdict
    asker.close()
    return verdicts


def run_overload(
    url: str, chats: Sequence[bytes], expected: dict[str, Verdict], plan: Overload, *, each_s: Callable[[], None]
) -> Outcome:
    """Ask for the time of the plan.

    Args:
        url: Address of /v1/classify.
        chats: Chat events; the clients take them in turn.
        expected: The right verdict of each.
        plan: How much.
        each_s: Called about once a second in the meantime.
    """
    outcome, lock, turn = Outcome(), threading.Lock(), count()
    started = time.perf_counter()
    end = started + plan.seconds

    def client(place: int) -> None:
        asker = _Asker(url, deadline_s=plan.deadline_s)
        due = started + plan.deadline_s * place / plan.n_clients
        while due < end:
            time.sleep(max(0.0, due - time.perf_counter()))
            with lock:
                first = next(turn) * plan.n_chats
            asked = [chats[(first + i) % len(chats)] for i in range(plan.n_chats)]
            body = b'{"conversations":[%b]}' % b",".join(asked)
            begun = time.perf_counter()
            status, headers, answer = asker.ask(body)
            wait_s = time.perf_counter() - begun
            n_wrong = _n_wrong(asked, answer, expected) if status == OK else 0
            with lock:
                outcome.add(status, wait_s)
                outcome.n_wrong += n_wrong
                outcome.n_without_retry_after += status == REFUSED and not headers.get("retry-after", "").isdecimal()
            due = max(due + plan.deadline_s, time.perf_counter())
        asker.close()

    threads = [threading.Thread(target=client, args=(place,)) for place in range(plan.n_clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        while thread.is_alive():
            thread.join(1.0)
            each_s()
    return outcome


class _Asker:
    """One kept-alive connection."""

    def __init__(self, url: str, *, deadline_s: float | None) -> None:
        parts = urlsplit(url)
        self._path = parts.path
        self._headers = {"content-type": "application/json"}
        timeout_s = None
        if deadline_s is not None:
            self._headers["x-deadline-ms"] = str(round(deadline_s * 1_000))
            timeout_s = deadline_s * _TIMES_THE_DEADLINE
        self._link = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)

    def ask(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a body; return status, headers and body of the answer, status 0 where the connection broke."""
        try:
            self._link.request("POST", self._path, body, self._headers)
            response = self._link.getresponse()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        except (OSError, http.client.HTTPException):
            self._link.close()
            return 0, {}, b""

    def close(self) -> None:
        """Close it."""
        self._link.close()


def _n_wrong(asked: Sequence[bytes], answer: bytes, expected: dict[str, Verdict]) -> int:
    results = orjson.loads(answer)["results"]
    ids = [orjson.loads(chat)["chat_id"] for chat in asked]
    n_wrong = abs(len(ids) - len(results))
    return n_wrong + sum(not _same(result, expected[one]) for one, result in zip(ids, results, strict=False))


def _same(found: Verdict, expected: Verdict) -> bool:
    if found.get("chat_id") != expected["chat_id"] or found.get("category") != expected["category"]:
        return False
    pairs = ((found["probabilities"].get(code), value) for code, value in expected["probabilities"].items())
    return all(one is not None and abs(one - value) < _PROBABILITY_STEP for one, value in pairs)
