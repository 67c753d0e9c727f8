"""Times on the command line: with a zone, without one, and as Kafka's tools print them."""

from datetime import UTC, datetime

import pytest
import typer

from worker.settings.options import parse_time


@pytest.mark.parametrize(
    "text", ["2026-01-31T08:00:00Z", "2026-01-31T09:00:00+01:00", "2026-01-31 08:00", "1769846400000"]
)
def test_a_time_is_the_same_moment_however_it_is_written(text: str) -> None:
    """Without a zone it is UTC, wherever the command runs."""
    assert parse_time(text) == datetime(2026, 1, 31, 8, tzinfo=UTC)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "9" * 30, ""])
def test_what_is_no_time_is_refused_with_what_is_expected(text: str) -> None:
    """A wrong start would replay other records than were asked for."""
    with pytest.raises(typer.BadParameter, match="expected ISO 8601"):
        parse_time(text)
