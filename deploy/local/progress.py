"""Show how far the one long download is: a bar on a terminal, a few plain lines elsewhere."""

import contextlib
import threading
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

_PLAIN_STEPS = 4
_MB = 1_000_000


@contextlib.contextmanager
def download_progress(announcement: str, total_bytes: int) -> Iterator[Callable[[int], None]]:
    """Print the announcement, then yield a function that is told how many bytes just arrived.

    The function may be called from several threads.
    """
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    console.print(announcement, markup=False)
    if not console.is_terminal:
        yield _plain_progress(console, total_bytes)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Progress(*columns, TransferSpeedColumn(), console=console) as progress:
        task = progress.add_task("Kafka", total=total_bytes)
        yield lambda n_bytes: progress.advance(task, n_bytes)


def _plain_progress(console: Console, total_bytes: int) -> Callable[[int], None]:
    """Return an advance function that prints one line per quarter of the whole."""
    lock = threading.Lock()
    done_bytes = 0
    done_steps = 0

    def advance(n_bytes: int) -> None:
        nonlocal done_bytes, done_steps
        with lock:
            done_bytes += n_bytes
            steps = _PLAIN_STEPS * done_bytes // max(1, total_bytes)
            if steps > done_steps:
                done_steps = steps
                console.print(f"Kafka: {done_bytes / _MB:.0f} of {total_bytes / _MB:.0f} MB")

    return advance
