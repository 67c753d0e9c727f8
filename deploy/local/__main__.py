"""`python -m deploy.local`: start, show and stop the local stack from the shell."""

import json
import shlex
import signal
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from deploy.local.errors import LocalStackError, StateError
from deploy.local.jars import LOCK_FILE, default_cache_dir, ensure_jars, load_lock, write_lock
from deploy.local.stack import LocalStack
from deploy.local.state import StackState, StateStore, default_state_dir, describe, stop_recorded

EXIT_FAILED = 1
EXIT_NOT_RUNNING = 3
_MB = 1_000_000

app = typer.Typer(
    name="python -m deploy.local",
    help="The local stack: a real Apache Kafka (KRaft) and a real Redis as child processes.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

StateDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder with the stack's state file; one stack per folder. Default: verdictstream in "
        "the user's state folder.",
        file_okay=False,
        resolve_path=True,
    ),
]
CacheDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder that caches Kafka's jars. Default: verdictstream in the user's cache folder.",
        file_okay=False,
        resolve_path=True,
    ),
]


@app.command()
def up(
    *,
    brokers: Annotated[
        int,
        typer.Option(help="Kafka brokers; 3 is a cluster with 3 copies, 2 in sync.", min=1, max=5),
    ] = 1,
    partitions: Annotated[
        int, typer.Option(help="Partitions of each topic of events and verdicts.", min=1, max=1000)
    ] = 12,
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the brokers' data. What `down --keep-data` left there is taken up "
            "again. Default: `data` in the state folder.",
            file_okay=False,
            resolve_path=True,
        ),
    ] = None,
    redis_maxmemory: Annotated[str | None, typer.Option(help="Redis memory limit such as 64mb. Default: none.")] = None,
    state_dir: StateDir = None,
    cache_dir: CacheDir = None,
) -> None:
    """Start Kafka and Redis, create the topics, leave both running.

    The first run downloads Kafka's jars (45 MB); later runs need no network. Prints the addresses,
    the lines to paste into a shell, and one JSON line last. A stack that runs already is left as
    it is.

    Exit codes: 0 running; 1 not started, the reason is on stderr; 2 wrong usage.
    """
    store = StateStore(state_dir or default_state_dir())
    with store.lock():
        state = store.load()
        if state is not None and state.n_alive:
            _report_running(state)
            return
        if state is not None:
            _clear_stale(store, state)
        started = time.monotonic()
        stack = LocalStack(
            brokers,
            data_dir=data_dir or store.folder / "data",
            redis_maxmemory=redis_maxmemory,
            cache_dir=cache_dir,
            detached=True,
        )
        topics = dict.fromkeys(("chat-events", "verdicts", "chat-events.dlq", "verdict-changes"), partitions)
        state = _start(store, stack, topics)
        _print_addresses(state, start_s=time.monotonic() - started)


@app.command()
def down(
    keep_data: Annotated[
        bool,
        typer.Option("--keep-data", help="Leave the brokers' data for the next `up`; stops slower."),
    ] = False,
    state_dir: StateDir = None,
) -> None:
    """Stop the stack and remove its data.

    Exit codes: 0 stopped, or nothing was running; 1 not stopped, the reason is on stderr; 2 wrong
    usage.
    """
    store = StateStore(state_dir or default_state_dir())
    with store.lock():
        state = store.load()
        if state is None:
            typer.echo("nothing is running")
            return
        n_alive = state.n_alive
        stop_recorded(state, keep_data=keep_data)
        store.clear()
    kept = f"; data kept in {state.data_dir}" if keep_data else "; data removed"
    typer.echo(f"stopped {n_alive} of {len(state.services)} services{kept}")


@app.command()
def status(state_dir: StateDir = None) -> None:
    """Show the services of the stack.

    Exit codes: 0 all of it runs; 3 it does not, or not all of it; 1 the state cannot be read;
    2 wrong usage.
    """
    state = StateStore(state_dir or default_state_dir()).load()
    if state is None:
        typer.echo("nothing is running; start it with `python -m deploy.local up`")
        raise typer.Exit(EXIT_NOT_RUNNING)
    table = Table("service", "address", "pid", "state")
    for service in state.services:
        alive = "running" if service.process.is_alive() else "not running"
        table.add_row(service.name, service.address, str(service.process.pid), alive)
    Console(soft_wrap=True).print(table)
    if not state.ready:
        typer.echo("`up` has not finished; if it is not at work any more, run `down`")
    if not state.is_running:
        raise typer.Exit(EXIT_NOT_RUNNING)


@app.command()
def fetch(cache_dir: CacheDir = None) -> None:
    """Download and verify Kafka's jars now, so that `up` needs no network later.

    Exit codes: 0 all jars are there and match the lock file; 1 not, the reason is on stderr.
    """
    lock = load_lock()
    folder = cache_dir or default_cache_dir()
    jars = ensure_jars(lock, folder)
    typer.echo(f"Kafka {lock.kafka_version}: {len(jars)} jars verified in {folder}")


@app.command()
def lock(
    kafka_version: Annotated[str, typer.Option(help="Kafka version to pin, for example 4.3.1.")],
) -> None:
    """Resolve Kafka's jars anew and rewrite the lock file with their digests. For maintainers.

    Exit codes: 0 written; 1 not written, the reason is on stderr; 2 wrong usage.
    """
    written = write_lock(kafka_version)
    typer.echo(
        f"{LOCK_FILE.name}: Kafka {kafka_version}, {len(written.jars)} jars, "
        f"{written.total_bytes / _MB:.0f} MB; compare it with the version before you commit it"
    )


def _start(store: StateStore, stack: LocalStack, topics: dict[str, int]) -> StackState:
    """Start the stack and create the topics; on failure only data that was there before stays."""
    try:
        stack.start(on_change=lambda: store.save(describe(stack, ready=False)))
        stack.kafka.create_topics(topics)
        # The ranges that replays have fixed: the last record of each key stays for good.
        stack.kafka.create_topics({"verdict-replays": 1}, config={"cleanup.policy": "compact"})
    except BaseException:
        stack.stop(keep_data=stack.data_was_there)
        store.clear()
        raise
    state = describe(stack, ready=True)
    store.save(state)
    return state


def _report_running(state: StackState) -> None:
    """Say that a stack is there already.

    Raises:
        StateError: Only a part of it runs.
    """
    if not state.is_running:
        raise StateError(
            f"{state.n_alive} of {len(state.services)} services of an earlier `up` run; expected "
            "all or none; run `python -m deploy.local down`, then `up` again"
        )
    typer.echo("already running; `down` first if you want another one", err=True)
    _print_addresses(state, start_s=None)


def _clear_stale(store: StateStore, state: StackState) -> None:
    """Forget a stack whose processes are all gone; data in a folder the user named is left."""
    ours = state.data_dir.is_relative_to(store.folder)
    stop_recorded(state, keep_data=not ours)
    store.clear()
    typer.echo("the services of an earlier `up` are gone; starting anew", err=True)


def _print_addresses(state: StackState, *, start_s: float | None) -> None:
    """Print the addresses for people, for shells and, last, as one JSON line."""
    table = Table("service", "address", "pid")
    for service in state.services:
        table.add_row(service.name, service.address, str(service.process.pid))
    Console(soft_wrap=True).print(table)
    typer.echo(f"bootstrap servers: {state.bootstrap_servers}")
    typer.echo(f"redis url: {state.redis_url}")
    typer.echo(f"data: {state.data_dir}")
    for name, value in (
        ("MODERATION_KAFKA__BOOTSTRAP_SERVERS", state.bootstrap_servers),
        ("MODERATION_REDIS__URL", state.redis_url),
    ):
        typer.echo(f"export {name}={shlex.quote(value)}")
    typer.echo(
        json.dumps(
            {
                "bootstrap_servers": state.bootstrap_servers,
                "redis_url": state.redis_url,
                "start_s": None if start_s is None else round(start_s, 3),
            }
        )
    )


def main() -> None:
    """Run the command line; what goes wrong on purpose becomes one text on stderr."""
    # SIGTERM unwinds like Ctrl-C does, so that an interrupted `up` leaves nothing behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_FAILED))
    try:
        app()
    except LocalStackError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
