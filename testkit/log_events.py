"""The log of a process as its events."""

from pathlib import Path
from typing import Any

import orjson


def log_events(path: Path, name: str | None = None) -> list[dict[str, Any]]:
    """Return the log events written so far, of one name or of all; what is no whole line of JSON is left out."""
    lines = path.read_bytes().split(b"\n")
    # A process that was killed may leave half a line.
    found = [orjson.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]
    return [event for event in found if name is None or event["event"] == name]
