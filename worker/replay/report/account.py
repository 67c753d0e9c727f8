"""What a replay did, as numbers and as tables. Pure but for printing."""

from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worker.kafka.partition_range import PartitionRange
from worker.moves.counts import named_moves
from worker.moves.matrices import print_moves, shown
from worker.process.lifecycle import EXIT_NOT_BALANCED, EXIT_RECORDS_LOST, EXIT_STOPPED_EARLY
from worker.replay.plan.unfinished import UnfinishedRedrive
from worker.replay.report.tally import Tally
from worker.replay.run.group_state import GroupState


@dataclass(frozen=True)
class Report:
    """The account of a replay, finished or not."""

    state: GroupState
    allow_lost: bool = False
    n_partitions_added: int = 0
    """Partitions that the topics have got since the range was fixed; none of their records was read."""
    not_held: tuple[str, ...] = ()
    """Policies that hold what they blocked on live traffic; here they decided as if nothing had been before."""
    unfinished: tuple[UnfinishedRedrive, ...] = ()
    """Of a redrive: earlier ones that left letters behind, which this one passes over."""

    @property
    def exit_code(self) -> int:
        """0 only where every record has its outcome, none was deleted unread, unless that is allowed, and none left."""
        if not self.state.is_complete:
            return EXIT_STOPPED_EARLY
        if not all(tally.balances for tally in self.state.tallies.values()):
            return EXIT_NOT_BALANCED
        if self.state.n_lost and not self.allow_lost:
            return EXIT_RECORDS_LOST
        return EXIT_STOPPED_EARLY if self.unfinished else 0

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
            "policies_not_held": list(self.not_held),
            "unfinished_redrives": [one.line() for one in self.unfinished],
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
            "n_not_compared": outcomes.n_verdicts - outcomes.n_compared,
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
        table.add_row(*(escape(shown(row[name])) for name in (*COLUMNS, *COLUMNS_LAST)))
    line = report.line()
    table.add_section()
    table.add_row("all", "", "", "", *(shown(line[name]) for name in (*COLUMNS[4:], *COLUMNS_LAST)), style="bold")
    console.print(table)
    if (changes := report.changes()) is not None:
        _print_changes(report, changes, console)
    if report.not_held:
        sentence = (
            f"without the holds of policy {', '.join(report.not_held)}: each record was decided as if nothing had been "
            "blocked before it"
        )
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    for unfinished in report.unfinished:
        # A command is copied from here: no line of it may be broken.
        console.print(unfinished.sentence(), markup=False, highlight=False, soft_wrap=True)


def _print_changes(report: Report, changes: dict[str, Any], console: Console) -> None:
    print_moves(report.state.total.outcomes, console, what="that changed")
    console.print(
        f"{changes['n_changed']:,} of {changes['n_compared']:,} compared verdicts changed; "
        f"{changes['n_not_compared']:,} were not compared (no older verdict, or one of another taxonomy)"
    )
