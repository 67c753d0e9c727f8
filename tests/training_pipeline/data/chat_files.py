"""Write chats as files, and read what a stage wrote."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

Chat = dict[str, Any]


def chat(chat_id: str, *texts: str, **fields: Any) -> Chat:
    """Return a chat of alternating user and assistant messages, with `fields` laid over it."""
    roles = ("user", "assistant")
    messages = [{"id": i, "role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"chat_id": chat_id, "messages": messages, **fields}


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write one JSON line per row; bytes are written as they are."""
    path.write_bytes(b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows))
    return path


def read_lines(path: Path) -> list[Any]:
    """Return the JSON value of each line."""
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def rejects_of(out: Path) -> dict[str, str]:
    """Return position to reason of a stage's rejects."""
    return {row["position"]: row["reason"] for row in read_lines(out.with_suffix(".rejects.jsonl"))}
