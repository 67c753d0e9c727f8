"""Count what a replay would read and estimate how long it would take; nothing is judged for good or committed.

The ranges are read for at most a stated time; what was not reached is extrapolated, and the answer says so.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from model import Classifier
from worker.cache.verdict_cache import VerdictCache
from worker.decode import Decoder
from worker.hits_and_misses import chat_ids, fill_hits, misses_of
from worker.kafka.partition_range import Partition
from worker.kafka.topic_scan import ScannedRecord
from worker.record import Record
from worker.replay.plan.replay_plan import ReplayPlan
from worker.replay.plan.selection import Selection, dead_letter_of, with_origin
from worker.verdict_builder import VerdictBuilder

_SAMPLE: Final = 256
"""Records that are looked up in the cache."""
_CLASSIFIED: Final = 64
"""Of those that are not there, the ones that are classified to time them."""
_PER_STEP: Final = 8


@dataclass
class Count:
    """What was read."""

    n_records: int = 0
    n_selected: int = 0
    n_bytes: int = 0
    reached: dict[Partition, int] = field(default_factory=dict)
    sample: list[Record] = field(default_factory=list)

    def add(self, scanned: Iterable[ScannedRecord], selection: Selection, *, redrive: bool) -> None:
        """Count one step."""
        n_sampled = len(self.sample)
        for one in scanned:
            self.reached[one.topic, one.partition] = one.offset + 1
            self.n_records += 1
            record = Record(*one.place, one.timestamp_ms, one.key, one.value)
            letter = dead_letter_of(one.headers) if redrive else None
            if not selection.takes(record, letter):
                continue
            self.n_selected += 1
            self.n_bytes += len(one.value or b"")
            if len(self.sample) < min(_SAMPLE, n_sampled + _PER_STEP):
                self.sample.append(with_origin(record, letter))


def count(
    steps: Iterator[list[ScannedRecord]], plan: ReplayPlan, selection: Selection, *, limit_s: float
) -> tuple[Count, bool]:
    """Count records for at most `limit_s` seconds; return the count and whether all was read."""
    counted, deadline = Count(), time.monotonic() + limit_s
    for scanned in steps:
        counted.add(scanned, selection, redrive=plan.request.redrive)
        if time.monotonic() > deadline:
            return counted, False
    return counted, True


def estimate(
    counted: Count,
    *,
    is_whole: bool,
    plan: ReplayPlan,
    classifier: Classifier,
    cache: VerdictCache,
    builder: VerdictBuilder,
    selection: Selection,
    rate: float | None,
) -> dict[str, Any]:
    """Return counts and the time that one process would take, from a sample that is really judged."""
    n_seen = sum(counted.reached[one.place] - one.start for one in plan.ranges if one.place in counted.reached)
    factor = 1.0 if is_whole or not n_seen else plan.n_offsets / n_seen
    started = time.perf_counter()
    decoder = Decoder(selection.limits, value_format=selection.value_format)
    rows = decoder.decode(counted.sample)
    cached = cache.get_many(chat_ids(rows))
    light_s = (time.perf_counter() - started) / max(1, len(counted.sample))
    fill_hits(rows, cached, builder)
    misses = misses_of(rows)
    timed = misses[:_CLASSIFIED]
    started = time.perf_counter()
    classifier.classify([event.turns for _, event in timed])
    miss_s = (time.perf_counter() - started) / max(1, len(timed))
    miss_ratio = len(misses) / max(1, len(counted.sample))
    n_selected = round(counted.n_selected * factor)
    duration_s = n_selected * (light_s + miss_ratio * miss_s)
    return {
        "event": "replay_dry_run",
        "n_partitions": len(plan.ranges),
        "n_offsets": plan.n_offsets,
        "n_records": round(counted.n_records * factor),
        "n_selected": n_selected,
        "n_bytes": round(counted.n_bytes * factor),
        "n_lost": sum(one.n_lost for one in plan.ranges),
        "extrapolated": not is_whole,
        "n_sampled": len(counted.sample),
        "sample_miss_ratio": round(miss_ratio, 4),
        "sample_rejected": sum(row.rejection is not None for row in rows),
        "classify_ms_per_record": round(1_000 * miss_s, 3),
        "estimated_s_one_process": round(max(duration_s, n_selected / rate if rate else 0.0), 1),
    }
