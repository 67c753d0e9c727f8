from pathlib import Path

import pytest

from loadtest.errors import LoadTestError
from loadtest.run.arrivals_file import read_arrivals


def _file(folder: Path, *lines: str) -> Path:
    path = folder / "arrivals"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "lines",
    [
        ["0.5", "2.0"],
        ["1750000000.5", "1750000002"],
        ["1750000000500", "1750000002000"],
        ["1750000000500000000", "1750000002000000000"],
        ["2026-01-01T00:00:00.5Z", "2026-01-01T00:00:02"],
        ['"2026-01-01T00:00:00.5+01:00"', "", "2026-01-01T00:00:02+01:00"],
        ['{"chat_id": "a", "sent_at": 1750000000500}', '{"chat_id": "b", "sent_at": 1750000002000}'],
        ['{"occurred_at": "2026-01-01T00:00:00.5Z", "messages": []}', '{"timestamp": "2026-01-01T00:00:02Z"}'],
        [
            '{"messages": [{"createdAt": "2020-01-01T00:00:00Z"}, {"createdAt": "2026-01-01T00:00:00.5Z"}]}',
            '{"messages": [{"created_at": "2026-01-01T00:00:02Z"}]}',
        ],
    ],
)
def test_times_are_read_whatever_their_form(tmp_path: Path, lines: list[str]) -> None:
    """Logs, exports and event files all write times their own way; only the gap between them matters."""
    first, second = read_arrivals(_file(tmp_path, *lines))
    assert second - first == pytest.approx(1.5)


@pytest.mark.parametrize("line", ['{"chat_id": "secret"}', "secret", '{"sent_at": {}}', '{"secret": '])
def test_a_line_without_a_time_is_named_by_its_number_and_not_quoted(tmp_path: Path, line: str) -> None:
    """It may hold chat text."""
    with pytest.raises(LoadTestError, match="line 2: holds no time") as raised:
        read_arrivals(_file(tmp_path, "1.0", line))
    assert "secret" not in str(raised.value)


def test_an_empty_or_missing_file_is_refused(tmp_path: Path) -> None:
    """A replay of nothing would be a perfect result."""
    with pytest.raises(LoadTestError, match="holds no line"):
        read_arrivals(_file(tmp_path, ""))
    with pytest.raises(LoadTestError, match="cannot be read"):
        read_arrivals(tmp_path / "none")
