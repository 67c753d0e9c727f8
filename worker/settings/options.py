"""Options that several commands share."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file; the environment wins over it.")]


def parse_time(text: str) -> datetime:
    """Read ISO 8601, or milliseconds since 1970; without a zone it is UTC."""
    try:
        moment = datetime.fromtimestamp(int(text) / 1_000, UTC) if text.isdecimal() else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        raise typer.BadParameter(
            f"{text!r}: expected ISO 8601 such as 2026-01-31T08:00:00Z, or milliseconds since 1970"
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
