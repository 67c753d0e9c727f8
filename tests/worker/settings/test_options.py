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


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("1700000000", "looks like seconds; give 1700000000000"),
        ("1700000000123456", "looks like microseconds; give 1700000000123"),
        ("1700000000000000000", "looks like nanoseconds; give 1700000000000"),
        ("20260131", "as a day it would be 2026-01-31"),
        ("0", "leave the option out for no bound"),
        ("2026", "leave the option out for no bound"),
        ("9" * 5_000, "leave the option out for no bound"),
    ],
)
def test_a_number_that_is_no_plausible_time_is_refused_with_what_it_may_mean(text: str, remedy: str) -> None:
    """As milliseconds the first four are days of January 1970, and select the whole topic."""
    with pytest.raises(typer.BadParameter) as refused:
        parse_time(text)
    assert remedy in refused.value.message
    assert "expected ISO 8601" in refused.value.message
    assert len(refused.value.message) < 300
