"""One timed run through an application on another stream processor, where the worker stands otherwise."""

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.compare.timed_run import Collected, TimedRun, accounted, pass_through
from loadtest.errors import LoadTestError
from loadtest.placement import Placement
from loadtest.services import Services
from testkit.errors import HarnessError
from testkit.reader import BackgroundReader
from testkit.records import InputRecord
from testkit.topics import Topics

_REPOSITORY: Final = Path(__file__).parents[2]
_STOP_TIMEOUT_S: Final = 20.0
_LOG_TAIL_CHARACTERS: Final = 2_000
_DEFAULT_PADDED_TOKENS: Final = "256"
"""The worker's default."""


@dataclass(frozen=True)
class Peer:
    """One application, in one way of running it."""

    name: str
    module: str
    """Module in loadtest.peers."""
    distribution: str
    """What must be installed for it."""
    guarantee: str
    """What it promises when it is killed and started again, as it is run here.

    None has dead letters or a cache: a record that it cannot read ends it, an unchanged chat is judged again."""
    is_batched: bool = False


PEERS: Final = (
    Peer("quix-streams", "quix_streams", "quixstreams", "exactly once"),
    Peer("quix-streams, batching sink", "quix_streams", "quixstreams", "at least once", is_batched=True),
    Peer("faust", "faust_streaming", "faust-streaming", "exactly once"),
    Peer("faust, take", "faust_streaming", "faust-streaming", "exactly once", is_batched=True),
    Peer("bytewax", "bytewax_flow", "bytewax", "at least once"),
    Peer("bytewax, flat_map_batch", "bytewax_flow", "bytewax", "at least once", is_batched=True),
)


@dataclass(frozen=True)
class PeerSetup:
    """What all peers of a comparison have in common."""

    python: Path
    """Interpreter with the frameworks."""
    bundle: Path
    n_threads: int
    n_partitions: int


def time_peer(
    peer: Peer,
    setup: PeerSetup,
    services: Services,
    events: Sequence[InputRecord],
    warm_up: Sequence[InputRecord],
    *,
    run_id: str,
) -> TimedRun:
    """Start a peer over fresh topics, warm it up, take the time of one run, stop it.

    Args:
        peer: Which application.
        setup: How it is run.
        services: Addresses.
        events: In sequence order, from 0, under `run_id`.
        warm_up: At least one event under another run id; its verdicts show that the application is running.
        run_id: The run id of `events`.

    Raises:
        LoadTestError: the application ended, or an event was lost or judged twice.
    """
    collected = Collected()
    with (
        services.fresh_topics(n_partitions=setup.n_partitions) as topics,
        _running(peer, setup, topics, services.placement) as check,
        BackgroundReader(topics, collected.take) as reader,
    ):
        pass_through(topics, warm_up, reader, collected, check)
        elapsed_s = pass_through(topics, events, reader, collected, check)
    return accounted(collected, topics, run_id, n_events=len(events), elapsed_s=elapsed_s)


@contextmanager
def _running(peer: Peer, setup: PeerSetup, topics: Topics, placement: Placement) -> Iterator[Callable[[], None]]:
    """Run an application; yields a check that raises LoadTestError, with its last lines, where it has ended."""
    with tempfile.TemporaryDirectory(prefix="verdictstream-peer-") as name:
        folder = Path(name)
        log = folder / "log"
        with log.open("wb") as output, placement.measured():
            process = subprocess.Popen(  # noqa: S603  our own command line
                _command(peer, setup, topics, folder / "state"),
                # The folder of the sources comes first, so that `loadtest`, `model` and `schemas` are these.
                env={**os.environ, "PYTHONPATH": str(_REPOSITORY)},
                cwd=folder,
                stdout=output,
                stderr=output,
            )

        def check() -> None:
            if (code := process.poll()) is not None:
                raise LoadTestError(f"{peer.name} ended with exit code {code}; its last lines:\n{_tail(log)}")

        try:
            yield check
        except HarnessError as error:
            if process.poll() is None:
                raise LoadTestError(f"{peer.name}: {error}; its last lines:\n{_tail(log)}") from error
            raise
        finally:
            process.terminate()
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _command(peer: Peer, setup: PeerSetup, topics: Topics, state_folder: Path) -> list[str]:
    padded_tokens = os.environ.get("MODERATION_MODEL__MAX_PADDED_TOKENS", _DEFAULT_PADDED_TOKENS)
    options = {
        "bootstrap-servers": topics.bootstrap_servers,
        "events-topic": topics.events,
        "verdict-topic": topics.verdicts,
        "group-id": topics.group_id,
        "n-partitions": topics.n_partitions,
        "state-folder": state_folder,
        "bundle": setup.bundle,
        "n-threads": setup.n_threads,
        "max-padded-tokens": padded_tokens,
    }
    command = [str(setup.python), "-m", f"loadtest.peers.{peer.module}"]
    command += [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return [*command, "--batched"] if peer.is_batched else command


def _tail(log: Path) -> str:
    return log.read_text("utf-8", "replace")[-_LOG_TAIL_CHARACTERS:]
