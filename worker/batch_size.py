"""How many records the next batch takes: few while traffic is thin (latency), more while records queue up (throughput).

A transaction costs about the same whatever it holds, so larger batches are cheaper per record; but a record waits
for its whole batch. The limit follows the measured time per record: cache hits cost microseconds, misses milliseconds.
Pure but for its own running average.
"""

from dataclasses import dataclass

from worker.settings.batch import BatchSettings

_SMOOTHING = 0.3
"""Weight of the newest batch in the running average: a change of traffic is followed within a few batches."""


@dataclass
class BatchSize:
    """The adaptive record limit.

    Args:
        settings: Intended batch times and the hard limit.
    """

    settings: BatchSettings
    _seconds_per_record: float = 0.02
    """Starts at several times the cost of a miss: the first batch after a start is small, whatever waits there."""
    _lagging: bool = False

    def limit(self) -> int:
        """Return the most records that the next batch may take, 1..max_records."""
        return self._records_in(self.settings.lagging_s if self._lagging else self.settings.thin_s)

    def observe(self, *, n_records: int, duration_s: float, lag_records: int) -> None:
        """Learn from one batch.

        Args:
            n_records: Records of the batch, > 0.
            duration_s: Time that the records took, from decoding to the last verdict, without any commit, seconds.
            lag_records: Records that still wait, but in paused partitions.
        """
        per_record = max(duration_s / n_records, 1e-6)
        self._seconds_per_record += _SMOOTHING * (per_record - self._seconds_per_record)
        # Against the small limit, whichever is in use now: one threshold, so the two do not take turns.
        self._lagging = lag_records > self._records_in(self.settings.thin_s)

    def shrink(self) -> None:
        """Take one record at a time, until a few batches show that they need not be so small."""
        self._seconds_per_record = max(self._seconds_per_record, self.settings.lagging_s)

    def _records_in(self, seconds: float) -> int:
        return max(1, min(self.settings.max_records, int(seconds / self._seconds_per_record)))
