"""Show how far a command has read: a bar in a terminal, a JSON line every few seconds elsewhere."""

import time
from collections.abc import Callable
from typing import Final, Self

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_LINE_EVERY_S: Final = 5.0


class ReadProgress:
    """The progress of one command.

    Args:
        command: Its name; the lines are called `COMMAND_progress`.
        console: Where the bar is drawn.
        n_offsets: How many offsets will be read.
        write: Takes the lines.
    """

    def __init__(self, command: str, console: Console, n_offsets: int, write: Callable[[str], object]) -> None:
        self._bar = Progress(
            TextColumn(command),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("records"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._event = f"{command}_progress"
        self._is_terminal = console.is_terminal
        self._write = write
        self._task = self._bar.add_task("", total=n_offsets)
        self._n_offsets = n_offsets
        self._n_read = 0
        self._said_s = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def more_to_read(self, n_offsets: int) -> None:
        """Take that so many more offsets will be read."""
        self._n_offsets += n_offsets
        self._bar.update(self._task, total=self._n_offsets)

    def progressed(self, n_records: int) -> None:
        """Show so many more records."""
        self._n_read += n_records
        self._bar.update(self._task, completed=self._n_read)
        if not self._is_terminal and time.monotonic() - self._said_s >= _LINE_EVERY_S:
            self._said_s = time.monotonic()
            line = {"event": self._event, "n_read": self._n_read, "n_offsets": self._n_offsets}
            self._write(orjson.dumps(line).decode() + "\n")
