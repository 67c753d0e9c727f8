"""The export of decisions as CSV or JSON lines, written as it is read."""

import csv
import io
from collections.abc import Iterator
from typing import Any, Final

import orjson

from console.review.decisions import CHUNK, COLUMNS, decisions
from console.review.queue import Queue
from console.review.rows import Queues

MEDIA_TYPES: Final = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With these a spreadsheet begins a formula; the last four are the wide forms of the first."""


def chunks(
    queue: Queue, form: str, *, reviewer: str | None, since_ms: int, until_ms: int, queues: Queues = None
) -> Iterator[bytes]:
    """Yield the export in parts; each part is one short read of the database.

    Args:
        queue: Whose decisions.
        form: csv or jsonl.
        reviewer: Whose answers; None: everybody's.
        since_ms: From then on, milliseconds since 1970.
        until_ms: Up to then.
        queues: On items of these alone; None: of all.
    """
    if form == "csv":
        yield written([list(COLUMNS)])
    after = 0
    while True:
        with queue.reading() as connection:
            rows = decisions(
                connection,
                reviewer=reviewer,
                since_ms=since_ms,
                until_ms=until_ms,
                after=after,
                limit=CHUNK,
                queues=queues,
            )
        if rows:
            after = rows[-1]["answer_id"]
            yield _encoded(rows, form)
        if len(rows) < CHUNK:
            return


def written(rows: list[list[Any]]) -> bytes:
    """Return rows as CSV; a cell that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO()
    csv.writer(text).writerows([[_cell(value) for value in row] for row in rows])
    return text.getvalue().encode()


def _encoded(rows: list[dict[str, Any]], form: str) -> bytes:
    if form == "csv":
        return written([list(row.values()) for row in rows])
    return b"".join(orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE) for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    return f"'{value}" if value.lstrip(" ").startswith(_FORMULA) else value
