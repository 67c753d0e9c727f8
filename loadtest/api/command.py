"""`api`: the HTTP API under closed loops of clients, beside the bare classifier and servers that were given."""

import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

import orjson
import typer

from loadtest.api.closed_loop import Answers, run_clients
from loadtest.api.console_process import running_console
from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.errors import LoadTestError
from loadtest.exit_codes import EXIT_WRONG_ANSWERS
from loadtest.options import EventsOption
from loadtest.report import report

CLIENTS: Final = (1, 8, 64)
DEFAULT_BUNDLE: Final = Path(__file__).parents[2] / "model" / "bundles" / "default"
_BARE_LIMIT_S: Final = 600
_OK: Final = "200"
_CONSOLE: Final = "console"


def api(
    *,
    events: EventsOption = SAMPLE_CHATS,
    bundle: Annotated[Path, typer.Option(help="Bundle folder.", show_default="the shipped bundle")] = DEFAULT_BUNDLE,
    seconds: Annotated[float, typer.Option(min=0.5, help="Length of each run.")] = 10.0,
    rounds: Annotated[int, typer.Option(min=1, help="Runs of each server and number of clients.")] = 3,
    chats: Annotated[int, typer.Option(min=1, help="Distinct chats.")] = 500,
    n_threads: Annotated[
        int, typer.Option("--threads", min=1, help="Inference threads of console and classifier.")
    ] = 2,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=URL",
            help="A server that runs already, measured in turn with the console; repeatable. It takes the same bodies; "
            "with #NAME after its address, a list of one under that name.",
        ),
    ] = None,
    bodies_of: Annotated[
        list[str] | None,
        typer.Option(
            "--bodies-of",
            metavar="NAME=FILE",
            help="Requests of the server of that name, one a line, where it does not take chat events; repeatable.",
        ),
    ] = None,
) -> None:
    """Ask /v1/classify from 1, 8 and 64 clients, servers in turn, and the bare classifier one chat at a time."""
    facts = report.machine()
    pool = ChatPool.read(events, new_run_id(), limit=chats)
    bodies = [pool.outgoing(number, number).value or b"" for number in range(len(pool))]
    given = dict(_named(text) for text in against or ())
    own_bodies = dict(read_bodies_of(text, given) for text in bodies_of or ())
    with tempfile.TemporaryDirectory(prefix="loadtest-api-") as name:
        folder = Path(name)
        (folder / "events.jsonl").write_bytes(b"\n".join(bodies))
        bare = [_bare_p50_ms(folder / "events.jsonl", bundle, n_threads) for _ in range(rounds)]
        with running_console(bundle, folder, n_threads=n_threads) as console:
            servers = {_CONSOLE: console.url, **given}
            asked = {name: own_bodies.get(name) or bodies_for(url, bodies) for name, url in servers.items()}
            runs = _in_turn(servers, asked, seconds=seconds, rounds=rounds)
    result: dict[str, Any] = {"machine": facts, "bare_p50_ms": report.spread(bare), "servers": _summaries(runs)}
    _print(result)
    own = [one for one in result["servers"] if one["server"] == _CONSOLE]
    if any(status != _OK for one in own for status in one["statuses"]):
        raise typer.Exit(EXIT_WRONG_ANSWERS)


def bodies_for(url: str, bodies: list[bytes]) -> list[bytes]:
    """Return the bodies as a server takes them: an address's fragment names the list that it expects."""
    name = urlsplit(url).fragment
    return [b'{"%b":[%b]}' % (name.encode(), body) for body in bodies] if name else bodies


def _named(text: str) -> tuple[str, str]:
    name, separator, url = text.partition("=")
    if not separator or not name or not url.startswith("http://"):
        raise typer.BadParameter(f"{text!r}: expected NAME=http://HOST:PORT/PATH", param_hint="--against")
    return name, url


def read_bodies_of(text: str, servers: dict[str, str]) -> tuple[str, list[bytes]]:
    """Return the name of a server and its own requests, from NAME=FILE.

    Args:
        text: As given to `--bodies-of`.
        servers: Addresses of the servers that are measured, by name.

    Raises:
        typer.BadParameter: the server is not measured, or the file cannot be read or holds nothing.
    """
    name, _, path = text.partition("=")
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as error:
        raise typer.BadParameter(f"{path!r}: cannot be read ({error.strerror})", param_hint="--bodies-of") from error
    if name not in servers or not lines:
        raise typer.BadParameter(
            f"{text!r}: expected NAME=FILE, the name of a server of --against and a file with a request in each line",
            param_hint="--bodies-of",
        )
    return name, lines


def _bare_p50_ms(events: Path, bundle: Path, n_threads: int) -> float:
    arguments = ["-m", "loadtest.peers.one_by_one", "--events", str(events), "--bundle", str(bundle)]
    done = subprocess.run(  # noqa: S603  our own program
        [sys.executable, *arguments, "--n-threads", str(n_threads)],
        capture_output=True,
        timeout=_BARE_LIMIT_S,
        check=False,
    )
    if done.returncode:
        raise LoadTestError(f"the bare classifier ended with {done.returncode}: {done.stderr[-500:]!r}")
    calls_s: list[float] = orjson.loads(done.stdout)
    return statistics.median(calls_s) * 1_000


def _in_turn(
    servers: dict[str, str], bodies: dict[str, list[bytes]], *, seconds: float, rounds: int
) -> dict[tuple[str, int], list[Answers]]:
    """Measure every server with every number of clients, again and again, so that a slow minute hits all of them."""
    runs: dict[tuple[str, int], list[Answers]] = {(name, n): [] for name in servers for n in CLIENTS}
    for name, url in servers.items():
        run_clients(url, bodies[name], n_clients=2, seconds=min(2.0, seconds))
    for _ in range(rounds):
        for n_clients in CLIENTS:
            for name, url in servers.items():
                runs[name, n_clients].append(run_clients(url, bodies[name], n_clients=n_clients, seconds=seconds))
    return runs


def _summaries(runs: dict[tuple[str, int], list[Answers]]) -> list[dict[str, Any]]:
    rows = []
    for (name, n_clients), answers in runs.items():
        together = Answers(
            [latency for one in answers for latency in one.latencies_s],
            sum((one.statuses for one in answers), Counter()),
            sum(one.elapsed_s for one in answers),
        )
        rates = report.spread([one.per_s for one in answers])
        rows.append({"server": name, "n_clients": n_clients, "rates_per_s": rates, **together.summary()})
    return rows


def _print(result: dict[str, Any]) -> None:
    rows = [
        (
            one["server"],
            str(one["n_clients"]),
            "{median:.1f} ({min:.1f} to {max:.1f})".format(**one["rates_per_s"]),
            str(one["p50_ms"]),
            str(one["p99_ms"]),
            ", ".join(f"{n} of {status}" for status, n in one["statuses"].items()),
        )
        for one in result["servers"]
    ]
    bare = result["bare_p50_ms"]
    rows.append(
        ("bare classifier", "-", "-", f"{bare['median']:.2f} ({bare['min']:.2f} to {bare['max']:.2f})", "-", "-")
    )
    columns = ("server", "clients", "answers/s", "p50 ms", "p99 ms", "statuses")
    report.print_wide_table("api: /v1/classify, one chat a request", columns, rows)
    report.print_json_line(result)
