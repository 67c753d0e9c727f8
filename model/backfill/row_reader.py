"""Read the rows of one Parquet file in order, from any row on, with bounded memory. Needs the parquet extra."""

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
from pyarrow import parquet

from model.backfill.errors import BackfillRefused

_BATCH_BYTES: Final = 8_000_000
"""Rows that are unpacked at a time, by their average size in the file."""
_BATCH_ROWS: Final = 2_048


class RowReader:
    """A file that is read forwards; going back reads its row group again.

    Args:
        file: The file.
        name: What it is called in errors.
        columns: Columns to read.
    """

    def __init__(self, file: parquet.ParquetFile, name: str, columns: Sequence[str]) -> None:
        self._file = file
        self._name = name
        self._columns = list(columns)
        self._position = 0
        self._batches = self._from_group(0)
        self._rest: pa.RecordBatch | None = None

    def take(self, start: int, stop: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Yield the rows from `start` to before `stop`, in batches, each with the position of its first row.

        Raises:
            BackfillRefused: the file is damaged, or has fewer rows than its footer says.
        """
        if start != self._position:
            self._seek(start)
        while self._position < stop:
            batch = self._next()
            n_rows = min(batch.num_rows, stop - self._position)
            self._rest = batch.slice(n_rows) if n_rows < batch.num_rows else None
            at, self._position = self._position, self._position + n_rows
            yield at, batch.slice(0, n_rows)

    def _seek(self, row: int) -> None:
        metadata, first = self._file.metadata, 0
        group = 0
        while group < metadata.num_row_groups and first + metadata.row_group(group).num_rows <= row:
            first += metadata.row_group(group).num_rows
            group += 1
        self._batches, self._rest, self._position = self._from_group(group), None, first
        for _ in self.take(first, row):
            pass

    def _from_group(self, group: int) -> Iterator[pa.RecordBatch]:
        metadata = self._file.metadata
        groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
        n_rows, n_bytes = metadata.num_rows, sum(one.total_byte_size for one in groups)
        size = max(1, min(_BATCH_ROWS, _BATCH_BYTES * n_rows // max(1, n_bytes)))
        return iter(
            self._file.iter_batches(
                batch_size=size, row_groups=list(range(group, len(groups))), columns=self._columns, use_threads=False
            )
        )

    def _next(self) -> pa.RecordBatch:
        if self._rest is not None:
            return self._rest
        try:
            batch = next(self._batches)
            batch.validate(full=False)
        except StopIteration:
            problem = f"ends after row {self._position}, before its footer says"
        except (OSError, pa.ArrowException) as error:
            problem = f"cannot be read after row {self._position} ({error})"
        else:
            return batch
        raise BackfillRefused(
            f"{self._name}: {problem}; expected a whole Parquet file; write it again, or judge the other files in a "
            "folder of their own"
        )
