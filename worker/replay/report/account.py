"""What a replay did, as numbers and as tables. Pure but for printing."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from schemas import CODES, Decision
from worker.process.lifecycle import EXIT_NOT_BALANCED, EXIT_RECORDS_LOST, EXIT_STOPPED_EARLY
from worker.replay.plan.replay_plan import PartitionRange
from worker.replay.report.tally import Outcomes, Tally
from worker.replay.run.group_state import GroupState

_DECISIONS: Final = tuple(decision.value for decision in Decision)


@dataclass(frozen=True)
class Report:
    """The account of a replay, finished or not."""

    state: GroupState
    allow_lost: bool = False
    n_partitions_added: int = 0
    """Partitions that the topics have got since the range was fixed; none of their records was read."""

    @property
    def exit_code(self) -> int:
        """0 only where every record has its outcome and none was deleted unread, unless that is allowed."""
        if not self.state.is_complete:
            return EXIT_STOPPED_EARLY
        if not all(tally.balances for tally in self.state.tallies.values()):
            return EXIT_NOT_BALANCED
        return EXIT_RECORDS_LOST if self.state.n_lost and not self.allow_lost else 0

    def line(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        state, total = self.state, self.state.total
        rows = [self.row(one) for one in state.plan.ranges]
        return {
            "event": "replay_ended",
            "replay_id": state.plan.replay_id,
            "exit_code": self.exit_code,
            "complete": state.is_complete,
            "n_read": total.reading.n_read,
            "n_verdicts": total.outcomes.n_verdicts,
            "n_dead_letters": total.outcomes.n_dead_letters,
            "n_skipped": total.reading.n_skipped,
            "n_without_record": sum(row["n_without_record"] for row in rows),
            "n_lost": state.n_lost,
            "n_partitions_added": self.n_partitions_added,
            "changes": self.changes(),
            "partitions": rows,
        }

    def row(self, one: PartitionRange) -> dict[str, Any]:
        """Return the account of one partition."""
        tally, offset = self.state.tallies.get(one.place, Tally()), self.state.offsets[one.place]
        reading, outcomes = tally.reading, tally.outcomes
        return {
            "topic": one.topic,
            "partition": one.partition,
            "start": one.start,
            "end": one.end,
            "committed": offset,
            "n_read": reading.n_read,
            "n_verdicts": outcomes.n_verdicts,
            "n_dead_letters": outcomes.n_dead_letters,
            "n_skipped": reading.n_skipped,
            "n_without_record": offset - one.start - reading.n_read - reading.n_skipped - reading.n_lost,
            "n_lost": one.n_lost + reading.n_lost,
            "complete": offset >= one.end and tally.balances,
        }

    def changes(self) -> dict[str, Any] | None:
        """Return what changed against the old verdicts; None where nothing was compared."""
        if self.state.plan.request.changes_topic is None:
            return None
        outcomes = self.state.total.outcomes
        return {
            "n_compared": outcomes.n_compared,
            "n_without_old_verdict": outcomes.n_verdicts - outcomes.n_compared,
            "n_changed": outcomes.n_changed,
            **named_moves(outcomes),
        }


COLUMNS: Final = ("topic", "partition", "start", "end", "n_read", "n_verdicts", "n_dead_letters", "n_skipped")
COLUMNS_LAST: Final = ("n_without_record", "n_lost", "complete")


def print_report(report: Report, console: Console) -> None:
    """Print the account as tables."""
    state = report.state
    table = Table(title=escape(f"replay {state.plan.replay_id}"), title_justify="left")
    for name in (*COLUMNS, *COLUMNS_LAST):
        table.add_column(name.removeprefix("n_").replace("_", " "), justify="left" if name == "topic" else "right")
    for one in state.plan.ranges:
        row = report.row(one)
        table.add_row(*(escape(_shown(row[name])) for name in (*COLUMNS, *COLUMNS_LAST)))
    line = report.line()
    table.add_section()
    table.add_row("all", "", "", "", *(_shown(line[name]) for name in (*COLUMNS[4:], *COLUMNS_LAST)), style="bold")
    console.print(table)
    if (changes := report.changes()) is not None:
        _print_changes(report, changes, console)


def _print_changes(report: Report, changes: dict[str, Any], console: Console) -> None:
    print_matrices(matrices(report), console)
    console.print(
        f"{changes['n_changed']:,} of {changes['n_compared']:,} compared verdicts changed; "
        f"{changes['n_without_old_verdict']:,} had no older verdict"
    )


Matrix = tuple[str, tuple[str, ...], list[list[int]]]
"""A title, the names of rows and columns, and the counts; [from][to]."""


def matrices(report: Report) -> list[Matrix]:
    """Return the moves between decisions and between categories."""
    found = move_matrices(report.state.total.outcomes)
    return [(f"{what} that changed", names, cells) for what, names, cells in found]


def named_moves(outcomes: Outcomes) -> dict[str, dict[str, int]]:
    """Return the moves as JSON holds them: `allow>block` or `A>B` to a count."""
    names = {name[0]: name for name in _DECISIONS}
    return {
        "decisions": {f"{names[move[0]]}>{names[move[1]]}": n for move, n in sorted(outcomes.decisions.items())},
        "categories": {f"{move[0]}>{move[1]}": n for move, n in sorted(outcomes.categories.items())},
    }


def move_matrices(outcomes: Outcomes) -> list[Matrix]:
    """Return the same of any moves, entitled `decisions` and `categories`."""
    decisions = [[outcomes.decisions.get(was[0] + now[0], 0) for now in _DECISIONS] for was in _DECISIONS]
    categories = [[outcomes.categories.get(was + now, 0) for now in CODES] for was in CODES]
    return [("decisions", _DECISIONS, decisions), ("categories", CODES, categories)]


def print_matrices(found: Iterable[Matrix], console: Console) -> None:
    """Print matrices; decisions stand in the order allow, review, block, so a move to the right is stricter."""
    for title, names, cells in found:
        table = Table("from \\ to", *names, title=title, title_justify="left")
        for i, (was, row) in enumerate(zip(names, cells, strict=True)):
            styles = [("green" if j > i else "red") if names == _DECISIONS else "" for j in range(len(row))]
            shown = zip(row, styles, strict=True)
            table.add_row(was, *(Text(_shown(count), style) if count else "" for count, style in shown))
        console.print(table)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return f"{value:,}" if isinstance(value, int) else str(value)
