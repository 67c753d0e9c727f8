"""What was read, in memory: the newest verdicts, and how many of each minute had what. One thread writes, all read.

Invariant: places, not arrival, name a verdict. So a browser that meets two consoles in turn shows each verdict once.
"""

import heapq
import secrets
import threading
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, NamedTuple

from console.pipeline.live.records import LiveLetter, LiveVerdict, Said

MINUTE_MS: Final = 60_000
MOST_ROWS: Final = 5_000
"""Newest verdicts that are kept, about 1 kB each."""
MOST_SHOWN: Final = 500
"""Rows of one answer."""
_MOST_KEYS: Final = 1_000
"""Different keys of one minute; what a writer makes up beyond counts as `(other)`."""
_MOST_SAID: Final = 4_096
_AHEAD_MINUTES: Final = 1
_MOST_DIGITS: Final = 18

OTHER: Final = "(other)"

Key = tuple[str, str]
"""What was counted, and its value."""


@dataclass(frozen=True)
class Wanted:
    """Which verdicts are to be shown; None: all."""

    decision: str | None = None
    category: str | None = None
    policy: str | None = None
    """Under which policy `decision` and `decided_by` are looked at; None: the default policy."""
    decided_by: str | None = None
    language: str | None = None
    chat: str | None = None
    """What the chat_id begins with."""

    def takes(self, row: LiveVerdict) -> bool:
        """Say whether a verdict is among them."""
        said = row.under(self.policy)
        return (
            said is not None
            and self.decision in (None, said[0])
            and self.decided_by in (None, said[1])
            and self.category in (None, row.code)
            and self.language in (None, row.language or "")
            and (self.chat is None or row.chat_id.startswith(self.chat))
        )


class Newest(NamedTuple):
    """What came since a cursor."""

    rows: list[LiveVerdict]
    """The newest first."""
    n_left_out: int
    """Older ones that are wanted too, and are not among the rows."""
    n_lost: int
    """What came since the cursor and is not kept any more, wanted or not."""
    cursor: str
    """Of this console: `name.number`."""


class Board:
    """The memory.

    Args:
        minutes: How far back counts are kept.
    """

    def __init__(self, minutes: int) -> None:
        self._lock = threading.Lock()
        self._minutes = minutes
        # Of this process: another console, and this one after a start, has read other records in another order.
        self._name = secrets.token_hex(4)
        self._rows: deque[LiveVerdict] = deque(maxlen=MOST_ROWS)
        self._back: list[tuple[int, int, LiveVerdict]] = []
        self._reads_back = True
        self._n_read = 0
        self._counts: dict[int, Counter[Key]] = {}
        self._letters: dict[str, LiveLetter] = {}
        self._shared: dict[Said, Said] = {}
        self._names: dict[str, str] = {}
        self._since_ms: int | None = None

    @property
    def since_ms(self) -> int | None:
        """Publication time of the oldest verdict that was counted; None before the first."""
        return self._since_ms

    def add_verdict(self, row: LiveVerdict, now_ms: int) -> None:
        """Take a verdict."""
        with self._lock:
            self._n_read += 1
            if self._reads_back:
                # Partitions are read one behind the other; what is newest is known at the end.
                heapq.heappush(self._back, (row.at_ms, self._n_read, row))
                if len(self._back) > MOST_ROWS:
                    heapq.heappop(self._back)
            else:
                self._rows.append(row)
            is_counted = row.at_ms > now_ms - self._minutes * MINUTE_MS
            if is_counted and (self._since_ms is None or row.at_ms < self._since_ms):
                self._since_ms = row.at_ms
            if len(self._names) < _MOST_KEYS:
                self._names[row.code] = row.category
            self._count(row.at_ms, now_ms, _keys_of(row))

    def add_letter(self, letter: LiveLetter, now_ms: int) -> None:
        """Take a dead letter."""
        with self._lock:
            known = self._letters.get(letter.reason)
            if known is None or letter.at_ms >= known.at_ms:
                self._letters[letter.reason] = letter
            self._count(letter.at_ms, now_ms, [("letter", letter.reason)])

    def add_review(self, at_ms: int, now_ms: int) -> None:
        """Count a verdict that asks for a person."""
        with self._lock:
            self._count(at_ms, now_ms, [("review", "")])

    def add_unreadable(self, at_ms: int, now_ms: int) -> None:
        """Count a record of the verdict topic that is no verdict."""
        with self._lock:
            self._count(at_ms, now_ms, [("unreadable", "")])

    def share(self, said: Said) -> Said:
        """Return an equal value that is kept once: most verdicts say the same of all policies."""
        return self._shared.setdefault(said, said) if len(self._shared) < _MOST_SAID else said

    def caught_up(self) -> None:
        """From here on rows are in the order of their arrival; cursors from before meet everything anew."""
        with self._lock:
            if self._reads_back:
                self._rows.extend(row for *_, row in sorted(self._back))
                self._back.clear()
                self._reads_back = False
                self._name = secrets.token_hex(4)

    def newest(self, cursors: str, wanted: Wanted, limit: int = MOST_SHOWN) -> Newest:
        """Return what came since a cursor of this console; without one the newest that are kept.

        Args:
            cursors: Those that a browser holds, of one console or several, by commas.
            wanted: Which verdicts.
            limit: Most rows.
        """
        with self._lock:
            kept = [row for *_, row in sorted(self._back)] if self._reads_back else self._rows
            n_read, name, n_kept = self._n_read, self._name, len(kept)
            after = _after(cursors, name)
            n_new = n_kept if after is None else min(max(0, n_read - after), n_kept)
            new = list(islice(reversed(kept), n_new))
        rows = [row for row in new if wanted.takes(row)]
        n_lost = 0 if after is None else max(0, n_read - after - n_kept)
        return Newest(rows[:limit], max(0, len(rows) - limit), n_lost, f"{name}.{n_read}")

    def figures(self, now_ms: int, minutes: int) -> dict[str, Any]:
        """Return counts of the newest minutes: totals, and by minute those of decisions, categories and hits.

        Args:
            now_ms: The clock.
            minutes: How many, at most as many as are kept; the last one is not over yet.
        """
        last = now_ms // MINUTE_MS
        wanted = range(last - min(minutes, self._minutes) + 1, last + 1)
        with self._lock:
            by_minute = [Counter[Key](self._counts.get(minute)) for minute in wanted]
            letters, names = list(self._letters.values()), dict(self._names)
        totals: Counter[Key] = Counter()
        for one in by_minute:
            totals.update(one)
        by_what: dict[str, dict[str, int]] = {}
        for (what, key), n in totals.most_common():
            by_what.setdefault(what, {})[key] = n
        return {
            "minutes": [minute * MINUTE_MS for minute in wanted],
            "now_ms": now_ms,
            "since_ms": self._since_ms,
            "totals": by_what,
            "names": names,
            "series": {
                what: {key: [one[what, key] for one in by_minute] for key in by_what.get(what, {})}
                for what in ("decision", "category", "cache", "kind")
            },
            "letters": [
                {
                    "reason": one.reason,
                    "n": totals[("letter", one.reason)],
                    "at_ms": one.at_ms,
                    "error": one.error,
                    "chat_id": one.chat_id,
                    "source": one.source,
                }
                for one in sorted(letters, key=lambda one: -one.at_ms)
            ],
        }

    def _count(self, at_ms: int, now_ms: int, keys: list[Key]) -> None:
        now = now_ms // MINUTE_MS
        # A clock ahead of this one, or a record without a time, would stand in a minute that nobody looks at.
        minute = at_ms // MINUTE_MS if at_ms >= 0 else now
        minute = now if minute > now + _AHEAD_MINUTES else minute
        if minute <= now - self._minutes:
            return
        counts = self._counts.get(minute)
        if counts is None:
            counts = self._counts[minute] = Counter()
            for old in [one for one in self._counts if one <= now - self._minutes]:
                del self._counts[old]
        for what, key in keys:
            known = (what, key) in counts or len(counts) < _MOST_KEYS
            counts[what, key if known else OTHER] += 1


def _keys_of(row: LiveVerdict) -> list[Key]:
    _, decision, by = row.said[0]
    return [
        ("decision", decision),
        ("category", row.code),
        ("decided_by", by),
        ("stage", row.stage),
        ("language", row.language or ""),
        ("cache", "hit" if row.cache_hit else "miss"),
        ("kind", row.kind),
        ("model", row.model),
        *((f"policy {said}", name) for name, said, _ in row.said),
    ]


def _after(cursors: str, name: str) -> int | None:
    """Return the number of the cursor of a console; None where it is not among them."""
    for one in cursors.split(","):
        found, _, number = one.partition(".")
        if found == name and number.isascii() and number.isdecimal() and len(number) <= _MOST_DIGITS:
            return int(number)
    return None
