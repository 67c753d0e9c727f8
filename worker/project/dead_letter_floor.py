"""From when on the dead letters are complete. Pure.

Before that a dead letter may have been deleted, which would have put a marker in its chat's place. The verdict before
it would be written instead, an `allow` on a conversation that nobody judged.
"""

from collections.abc import Iterable

from worker.kafka.retention import Kept


def complete_from_ms(partitions: Iterable[Kept], *, retention_ms: int | None, now_ms: int) -> int:
    """Return the time from which on every dead letter is still there, ms since the epoch; 0 where all are.

    Args:
        partitions: Every partition of the topic.
        retention_ms: What only age deletes, and at which age; None where that is not known, or size deletes too.
        now_ms: The time.
    """
    return max((_one(kept, retention_ms, now_ms) for kept in partitions), default=0)


def _one(kept: Kept, retention_ms: int | None, now_ms: int) -> int:
    if kept.n_deleted == 0:
        return 0
    # Whatever age has deleted was older than the retention; whatever was deleted stood before the oldest that is kept.
    bounds = [] if kept.oldest_ms is None else [kept.oldest_ms]
    bounds += [] if retention_ms is None else [now_ms - retention_ms]
    return max(0, min(bounds, default=now_ms))
