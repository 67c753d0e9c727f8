"""Show a run while it goes on: a table that is redrawn on a terminal, a plain line now and then elsewhere.

It shows ids, categories and numbers, never text of a chat.
"""

import time
from collections import Counter, deque
from types import TracebackType
from typing import Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from deploy.demo.account import Answer, VerdictSeen
from schemas import Decision

_N_ROWS: Final = 12
_BAR_COLUMNS: Final = 40
_REDRAW_S: Final = 0.5
_PLAIN_LINE_S: Final = 2.0
_MOST_ID_CHARACTERS: Final = 28

STYLES: Final = {Decision.ALLOW: "green", Decision.REVIEW: "yellow", Decision.BLOCK: "red"}


class LiveTable:
    """The newest answers, and how many there are.

    Args:
        console: Where it is shown.
        n_events: How many answers are expected.
    """

    def __init__(self, console: Console, *, n_events: int) -> None:
        self._console = console
        self._n_events = n_events
        self._newest: deque[Answer] = deque(maxlen=_N_ROWS)
        self._counts: Counter[str] = Counter()
        self._stage = ""
        self._started = self._drawn = time.monotonic()
        self._live = Live(console=console, auto_refresh=False) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.update(self._table(), refresh=True)
            self._live.stop()

    def stage(self, text: str) -> None:
        """Say what happens from now on."""
        self._stage = text
        if self._live is None:
            self._console.print(f"{self._elapsed_s:5.1f} s  {text}", markup=False, highlight=False)
        else:
            self._live.update(self._table(), refresh=True)

    def add(self, answer: Answer) -> None:
        """Take in an answer; nothing is drawn."""
        self._newest.append(answer)
        self._counts[answer.decision.value if isinstance(answer, VerdictSeen) else "dead letter"] += 1
        self._counts["cache hit"] += isinstance(answer, VerdictSeen) and answer.cache_hit

    def draw(self) -> None:
        """Draw, unless it was drawn a moment ago."""
        pause_s = _PLAIN_LINE_S if self._live is None else _REDRAW_S
        if time.monotonic() - self._drawn < pause_s:
            return
        if self._live is None:
            line = f"{self._elapsed_s:5.1f} s  {self._n_answers} of {self._n_events}: {self._counted()}"
            self._console.print(line, markup=False, highlight=False)
        else:
            self._live.update(self._table(), refresh=True)
        self._drawn = time.monotonic()

    @property
    def _elapsed_s(self) -> float:
        return time.monotonic() - self._started

    @property
    def _n_answers(self) -> int:
        return sum(self._counts.values()) - self._counts["cache hit"]

    def _counted(self) -> str:
        parts = [f"{self._counts[decision.value]} {decision.value}" for decision in Decision]
        parts += [f"{self._counts['dead letter']} dead letters", f"{self._counts['cache hit']} cache hits"]
        return ", ".join(parts)

    def _table(self) -> Group:
        table = Table("time (UTC)", "chat", "category", "decision", box=None, pad_edge=False)
        for heading in ("risk", "cache", "latency"):
            table.add_column(heading, justify="right")
        for answer in self._newest:
            table.add_row(*_row(answer))
        progress = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=self._n_events, completed=self._n_answers, width=_BAR_COLUMNS)
        progress.add_row(bar, f"{self._n_answers} of {self._n_events} events answered")
        title = Text(f"{self._elapsed_s:5.1f} s  {self._stage}", style="bold")
        return Group(title, progress, Text(self._counted()), Text(), table)


def _row(answer: Answer) -> tuple[Text, ...]:
    latency = Text(f"{answer.latency_ms:,.0f} ms")
    if not isinstance(answer, VerdictSeen):
        seen, place = Text(f"{answer.seen_at:%H:%M:%S}"), Text(str(answer.place), style="dim")
        return seen, place, Text(answer.reason.value), Text("dead letter", style="magenta"), Text(), Text(), latency
    return (
        Text(f"{answer.decided_at:%H:%M:%S}"),
        Text(printable(answer.chat_id)),
        Text(f"{answer.category.code} {answer.category.name}"),
        Text(answer.decision.value, style=STYLES[answer.decision]),
        Text(f"{answer.risk:.3f}"),
        Text("hit" if answer.cache_hit else "miss"),
        latency,
    )


def printable(chat_id: str) -> str:
    """Return an id that a terminal shows on one line and does not take for a command."""
    shown = "".join(character if character.isprintable() else "?" for character in chat_id[:_MOST_ID_CHARACTERS])
    return shown if len(chat_id) <= _MOST_ID_CHARACTERS else f"{shown}…"
