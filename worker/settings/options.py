"""Options that several commands share."""

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import typer

ConfigOption = Annotated[Path | None, typer.Option("--config", help="TOML file; the environment wins over it.")]


_EXPECTED: Final = "expected ISO 8601 such as 2026-01-31T08:00:00Z, or milliseconds since 1970"
_EARLIEST_MS: Final = 1_293_840_000_000
"""2011, Kafka's first year: no record is older."""
_LATEST_MS: Final = 4_102_444_800_000
"""2100."""
_MOST_DIGITS: Final = 25


def parse_time(text: str) -> datetime:
    """Read ISO 8601, or milliseconds since 1970; without a zone it is UTC."""
    text = text.strip()
    if text.isascii() and text.isdecimal():
        if len(text) > _MOST_DIGITS or not _EARLIEST_MS <= int(text) < _LATEST_MS:
            raise typer.BadParameter(
                f"{text[:_MOST_DIGITS]!r} is no time between 2011 and 2100 in milliseconds; {_hint(text)}"
            )
        return datetime.fromtimestamp(int(text) / 1_000, UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r}: {_EXPECTED}") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _hint(digits: str) -> str:
    """Return what a number that is no plausible time may mean."""
    if len(digits) == len("YYYYMMDD"):
        with suppress(ValueError):
            day = datetime.strptime(digits, "%Y%m%d").replace(tzinfo=UTC)
            return f"as a day it would be {day:%Y-%m-%d}; {_EXPECTED}"
    if len(digits) <= _MOST_DIGITS:
        for unit, factor in (("seconds", 1_000), ("microseconds", 1e-3), ("nanoseconds", 1e-6)):
            if _EARLIEST_MS <= int(digits) * factor < _LATEST_MS:
                return f"it looks like {unit}; give {int(int(digits) * factor)}; {_EXPECTED}"
    return f"{_EXPECTED}; leave the option out for no bound"
