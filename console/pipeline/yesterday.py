"""What the verdict topic says of a time: the newest verdict of each chat, as columns, in memory of a fixed size.

Where more chats had a verdict than there is room for, a random sample of them is kept, drawn by a digest of the
record's key: whatever is left out is left out from the whole time alike, and another reading draws the same chats.

Invariant: of a chat that is kept the newest verdict of the console's bundle is kept, by the rule of the verdict cache.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from pydantic import ValidationError

from console.pipeline.written import WrittenColumns
from model import Bundle
from model.policies.verdict_columns import VerdictColumns
from schemas import Verdict, decode_verdict
from schemas.verdict import VERDICT_SCHEMA_VERSION
from worker.cache.outcome_order import is_newer, verdict_outcome

MOST_CHATS: Final = 100_000
"""A share of so many is known within 0.3 percentage points."""
_EVIDENCE_BYTES: Final = 64 << 20
"""Fewer chats, where a taxonomy has so many categories that their evidence would take more."""
_ALL_DIGESTS: Final = 2**64


class Found(NamedTuple):
    """One record of the verdict topic."""

    key: bytes | None
    value: bytes | None
    place: tuple[str, int, int]
    """Topic, partition and offset."""
    published_ms: int


@dataclass
class PastVerdicts:
    """The verdicts of a time, and what was left out."""

    columns: VerdictColumns
    n_records: int = 0
    """That were read."""
    set_aside: Counter[str] = field(default_factory=Counter)
    """Records that do not count, by reason: `other_bundle`, `replayed`, `version_1`, `unreadable`."""
    other_bundles: Counter[str] = field(default_factory=Counter)
    """Of `other_bundle`, by digest."""
    sampled_share: float = 1.0
    """Of the chats, those that are kept."""
    stopped_at: float | None = None
    """Share of the records that was read, where time was up; None: all of them."""


class Collector:
    """Takes records in any order.

    Args:
        bundle: Whose verdicts count.
        n_most: Chats that are kept at most; None: as many as memory is for.
    """

    def __init__(self, bundle: Bundle, n_most: int | None = None) -> None:
        codes = bundle.taxonomy.codes
        n_most = n_most or min(MOST_CHATS, _EVIDENCE_BYTES // (4 * len(codes)))
        self.found = PastVerdicts(VerdictColumns(codes, n_most))
        self._digest = bundle.digest
        self._rows: dict[str, int] = {}
        self._written = WrittenColumns(n_most)
        self._drawn = np.empty(n_most, dtype=np.uint64)
        self._below = _ALL_DIGESTS
        """Chats whose digests are below it are kept."""

    def add(self, record: Found) -> None:
        """Take a record."""
        self.found.n_records += 1
        # A tombstone holds no verdict.
        if record.value is None:
            return
        drawn = _drawn(record.key or b"")
        # Before it is parsed, which is what takes time.
        if drawn >= self._below:
            return
        try:
            verdict = decode_verdict(record.value)
        except ValidationError:
            self.found.set_aside["unreadable"] += 1
            return
        if (why := self._set_aside(verdict)) is not None:
            self.found.set_aside[why] += 1
        else:
            self._take(verdict, record, drawn)

    def _set_aside(self, verdict: Verdict) -> str | None:
        if verdict.schema_version != VERDICT_SCHEMA_VERSION:
            return "version_1"
        if verdict.replay_id is not None:
            return "replayed"
        if verdict.model.digest != self._digest:
            self.found.other_bundles[verdict.model.digest] += 1
            return "other_bundle"
        return None

    def _take(self, verdict: Verdict, record: Found, drawn: int) -> None:
        columns = self.found.columns
        outcome = verdict_outcome(verdict, record.place, record.published_ms)
        row = self._rows.get(verdict.chat_id)
        if row is None:
            while columns.n == columns.n_most:
                self._halve()
            if drawn >= self._below:
                return
            row = self._rows[verdict.chat_id] = columns.n
        elif not is_newer(outcome, self._written.outcome(row)):
            return
        columns.put(row, verdict)
        self._written.put(row, outcome)
        self._drawn[row] = drawn

    def _halve(self) -> None:
        """Keep about half of the chats."""
        self._below //= 2
        self.found.sampled_share /= 2
        kept = np.flatnonzero(self._drawn[: self.found.columns.n] < np.uint64(self._below))
        self.found.columns.keep(kept)
        self._written.keep(kept)
        self._drawn[: len(kept)] = self._drawn[kept]
        self._rows = {chat_id: row for row, chat_id in enumerate(self.found.columns.chat_ids)}


def _drawn(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")


def collected(bundle: Bundle, records: Sequence[Found], n_most: int | None = None) -> PastVerdicts:
    """Return what some records say."""
    collector = Collector(bundle, n_most)
    for record in records:
        collector.add(record)
    return collector.found
