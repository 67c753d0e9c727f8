"""Where to start reading a partition: pure. A lost range of offsets is named, never jumped over in silence."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StartOffset:
    """Where reading starts."""

    offset: int
    n_lost: int = 0
    """Committed offsets that are no longer on the broker: at most this many records were never read."""


def start_offset(
    *, committed: int | None, low: int, high: int, offset_reset: Literal["earliest", "latest"]
) -> StartOffset:
    """Decide the start of one partition.

    Args:
        committed: The group's committed offset, the next one to read; None where there is none.
        low: First offset still on the broker.
        high: Offset after the last record.
        offset_reset: Where a group without a committed offset starts.

    Returns:
        The offset to start at; with `n_lost` > 0 where the committed one is gone.
    """
    if committed is None:
        return StartOffset(low if offset_reset == "earliest" else high)
    if committed < low:
        return StartOffset(low, n_lost=low - committed)
    if committed > high:
        # The topic was deleted and made again, or truncated: what the group had not read then is gone.
        return StartOffset(low, n_lost=committed - high)
    return StartOffset(committed)
