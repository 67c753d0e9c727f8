"""Archives and a bundle for the tests: small, quick, and of every form that is read."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from pyarrow import parquet

from schemas import CHAT_13
from tests.tiny_bundle import tiny_bundle

WORDS: Mapping[str, str] = {"poem": "D", "code": "C", "kill": "M", "letter": "B", "photo": "A", "the": "E", "how": "F"}
"""Category by word: each of them is in many of the sample chats."""


def quick_bundle(folder: Path) -> Path:
    """Write a bundle that judges thousands of chats a second, and return its folder."""
    return tiny_bundle(folder, CHAT_13, WORDS)


def chat(number: int, text: str = "a poem", **fields: Any) -> dict[str, Any]:
    """Return one event."""
    return {"chat_id": f"c-{number}", "messages": [{"role": "user", "content": f"{text} {number}"}], **fields}


def write_events(path: Path, events: Sequence[Mapping[str, Any]], *, group_rows: int = 100) -> Path:
    """Write events with a column for each field."""
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist([dict(one) for one in events]), path, row_group_size=group_rows)
    return path


def write_values(path: Path, values: Sequence[bytes | None], *, first_offset: int = 0, group_rows: int = 100) -> Path:
    """Write records as a sink of Kafka does: value, topic, partition, offset, timestamp."""
    path.parent.mkdir(parents=True, exist_ok=True)
    n_rows = len(values)
    table = pa.table(
        {
            "key": pa.array([None] * n_rows, pa.binary()),
            "value": pa.array(values, pa.binary()),
            "topic": ["chat-events"] * n_rows,
            "partition": pa.array([3] * n_rows, pa.int32()),
            "offset": pa.array(range(first_offset, first_offset + n_rows), pa.int64()),
            "timestamp": pa.array(
                [1_750_000_000_000 + first_offset + i for i in range(n_rows)], pa.timestamp("ms", "UTC")
            ),
        }
    )
    parquet.write_table(table, path, row_group_size=group_rows)
    return path


def as_values(events: Sequence[Mapping[str, Any]]) -> list[bytes | None]:
    """Return events as JSON."""
    return [orjson.dumps(dict(one)) for one in events]


def outcomes(folder: Path) -> list[dict[str, Any]]:
    """Return all rows of an output, in the order of its files; maps as dicts."""
    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("part-*.parquet")):
        rows += parquet.read_table(path).to_pylist(maps_as_pydicts="strict")
    return rows
