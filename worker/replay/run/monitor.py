"""Look at the whole replay now and then, show how far it is, and end the loop when every partition is done."""

import sys
import time
from collections.abc import Callable
from typing import Any, Final, Protocol

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from worker.kafka.retry import asked_once
from worker.replay.run.group_state import GroupState

_LOOK_EVERY_S: Final = 1.0
_LINE_EVERY_S: Final = 5.0


class Display(Protocol):
    """Shows the state of a replay."""

    def show(self, state: GroupState) -> None:
        """Show it, or leave it for later."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class Bar:
    """A progress bar with the time that is left, for a person."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("replay {task.fields[replay_id]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("offsets, {task.fields[n_verdicts]} verdicts, {task.fields[n_dead_letters]} dead letters"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
        )
        self._task: Any = None

    def show(self, state: GroupState) -> None:
        """Move the bar."""
        outcomes = state.total.outcomes
        counts: dict[str, Any] = {"n_verdicts": outcomes.n_verdicts, "n_dead_letters": outcomes.n_dead_letters}
        if self._task is None:
            self._task = self._progress.add_task(
                "", total=state.plan.n_offsets, completed=state.n_done, replay_id=state.plan.replay_id, **counts
            )
            self._progress.start()
        self._progress.update(self._task, completed=state.n_done, **counts)

    def close(self) -> None:
        """Leave the bar where it is."""
        self._progress.stop()


class Lines:
    """One JSON line on standard output every few seconds, for a machine.

    Args:
        write: Takes a line.
        clock: Monotonic seconds.
    """

    def __init__(
        self, write: Callable[[str], object] = sys.stdout.write, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = write
        self._clock = clock
        self._began: tuple[float, int] | None = None
        self._shown_at = 0.0

    def show(self, state: GroupState) -> None:
        """Write a line where it is time to."""
        now = self._clock()
        if self._began is None:
            self._began = (now, state.n_done)
        elif now - self._shown_at < _LINE_EVERY_S:
            return
        self._shown_at = now
        n_left = state.plan.n_offsets - state.n_done
        per_s = (state.n_done - self._began[1]) / max(now - self._began[0], 1e-6)
        outcomes = state.total.outcomes
        line = {
            "event": "replay_progress",
            "replay_id": state.plan.replay_id,
            "n_offsets": state.plan.n_offsets,
            "n_done": state.n_done,
            "n_verdicts": outcomes.n_verdicts,
            "n_dead_letters": outcomes.n_dead_letters,
            "offsets_per_s": round(per_s, 1),
            "eta_s": round(n_left / per_s) if per_s > 0 else None,
        }
        self._write(orjson.dumps(line).decode() + "\n")
        sys.stdout.flush()

    def close(self) -> None:
        """Do nothing."""


class Monitor:
    """Looks at the group about once a second, from the loop.

    Args:
        look: Reads the state; whether the brokers answer or not.
        display: Shows it.
        on_state: Told of every state.
        clock: Monotonic seconds.
    """

    def __init__(
        self,
        look: Callable[[], GroupState],
        display: Display,
        on_state: Callable[[GroupState], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._look = look
        self._display = display
        self._on_state = on_state
        self._clock = clock
        self._looked_at = float("-inf")

    def tick(self) -> None:
        """Look, where it is time to."""
        now = self._clock()
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._looked_at = now
        state = asked_once("replay_state_unknown", self._look)
        if state is None:
            return
        self._display.show(state)
        self._on_state(state)


def display_for(console: Console) -> Display:
    """Return a bar in a terminal, lines elsewhere."""
    return Bar(console) if console.is_terminal else Lines()
