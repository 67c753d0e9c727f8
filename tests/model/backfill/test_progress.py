"""Progress is told every ten seconds, with a rate of this start and not of an earlier one."""

from model.backfill.progress import Progress


def test_lines_come_every_ten_seconds_and_count_what_was_done_before() -> None:
    """A run that goes on would else promise to be ready at once."""
    now, said = [100.0], []
    progress = Progress(10_000, 6_000, lambda: now[0], said.append)
    for at, n_rows in ((105.0, 500), (110.0, 500), (115.0, 500), (120.0, 500)):
        now[0] = at
        progress.advance(n_rows)
    assert said == [
        "7,000 of 10,000 rows (70%), 100 rows/s, 30 s left",
        "8,000 of 10,000 rows (80%), 100 rows/s, 20 s left",
    ]


def test_long_times_are_told_in_minutes_and_hours() -> None:
    """Nobody divides by 3,600 in the head."""
    said: list[str] = []
    for n_rows in (60_000, 3_600_000):
        now = [0.0]
        progress = Progress(n_rows, 0, lambda now=now: now[0], said.append)  # type: ignore[misc]
        now[0] = 10.0
        progress.advance(100)
    assert [line.rpartition(", ")[2] for line in said] == ["1.7 h left", "100.0 h left"]
