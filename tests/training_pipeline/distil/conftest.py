"""Chats for the tests of students and their teachers."""

from pathlib import Path

import orjson
import pytest


@pytest.fixture
def unlabelled(labelled_files: tuple[Path, Path], tmp_path: Path) -> Path:
    """Return the dev chats without their labels, and one line that is no chat."""
    rows = [orjson.loads(line) for line in labelled_files[1].read_bytes().splitlines()]
    bare = [{name: row[name] for name in ("chat_id", "messages")} for row in rows]
    path = tmp_path / "unlabelled.jsonl"
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in bare) + b'{"chat_id": 1}\n')
    return path
