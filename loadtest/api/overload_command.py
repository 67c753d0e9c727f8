"""`api-overload`: 64 clients ask the HTTP API for twice what it can do, and none may wait longer than its deadline."""

import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from loadtest.api.closed_loop import run_clients
from loadtest.api.command import DEFAULT_BUNDLE
from loadtest.api.console_process import ConsoleProcess, running_console
from loadtest.api.overload import GIVEN_UP, OK, REFUSED, Outcome, Overload, ask_quietly, run_overload
from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.exit_codes import EXIT_WRONG_ANSWERS
from loadtest.options import EventsOption
from loadtest.report import report

_CLIENTS_AT_CAPACITY: Final = 8
_WARM_UP_S: Final = 2.0
_MOST_MB: Final = 50.0
"""That memory may grow from the warm server to the end."""
_MOST_GIVEN_UP: Final = 0.01
"""Of the admitted requests: who is admitted is to be answered, not given up at the deadline."""


def api_overload(
    *,
    events: EventsOption = SAMPLE_CHATS,
    bundle: Annotated[Path, typer.Option(help="Bundle folder.", show_default="the shipped bundle")] = DEFAULT_BUNDLE,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the overload.")] = 60.0,
    capacity_seconds: Annotated[float, typer.Option(min=0.5, help="Length of the run that finds the capacity.")] = 10.0,
    deadline_s: Annotated[float, typer.Option(min=0.1, max=30, help="Deadline of each request.")] = 2.0,
    clients: Annotated[int, typer.Option(min=2, help="Clients.")] = 64,
    times: Annotated[float, typer.Option(min=1, help="Offered chats, as a multiple of the capacity.")] = 2.0,
    chats: Annotated[int, typer.Option(min=1, help="Distinct chats.")] = 200,
    n_threads: Annotated[int, typer.Option("--threads", min=1, help="Inference threads of the console.")] = 2,
) -> None:
    """Offer a multiple of the measured capacity; exit code 4 where a wait, an answer or the memory is not in order."""
    facts = report.machine()
    pool = ChatPool.read(events, new_run_id(), limit=chats)
    bodies = [pool.outgoing(number, number).value or b"" for number in range(len(pool))]
    with (
        tempfile.TemporaryDirectory(prefix="loadtest-api-") as name,
        running_console(bundle, Path(name), n_threads=n_threads) as console,
    ):
        expected = ask_quietly(console.url, bodies)
        capacity_per_s = _capacity_per_s(console.url, bodies, seconds=capacity_seconds)
        plan = Overload.of_capacity(
            capacity_per_s, times=times, n_clients=clients, deadline_s=deadline_s, seconds=seconds
        )
        rss_mb: list[float] = [console.rss_mb()]
        outcome = run_overload(console.url, bodies, expected, plan, each_s=lambda: _note(rss_mb, console))
    result = {"machine": facts, **overload_result(outcome, plan, capacity_per_s=capacity_per_s, rss_mb=rss_mb)}
    report.print_table("api-overload: /v1/classify", overload_rows(result))
    report.print_json_line(result)
    if result["violations"]:
        raise typer.Exit(EXIT_WRONG_ANSWERS)


def overload_result(outcome: Outcome, plan: Overload, *, capacity_per_s: float, rss_mb: list[float]) -> dict[str, Any]:
    """Return the figures of a run, and what of them is not in order.

    Args:
        outcome: What came back.
        plan: What was asked.
        capacity_per_s: Chats per second that the server answered before.
        rss_mb: Resident set of the server, from before the overload to its end.
    """
    statuses = outcome.statuses
    result: dict[str, Any] = {
        "capacity_per_s": round(capacity_per_s, 1),
        "offered_per_s": round(plan.offered_per_s, 1),
        "n_clients": plan.n_clients,
        "n_chats_per_request": plan.n_chats,
        "deadline_ms": round(plan.deadline_s * 1_000),
        "n_answered": statuses[OK],
        "n_refused": statuses[REFUSED],
        "n_given_up": statuses[GIVEN_UP],
        "statuses": {str(status): n for status, n in sorted(statuses.items())},
        "longest_wait_ms": round(outcome.longest_s() * 1_000, 1),
        "longest_refusal_ms": round(outcome.longest_s(REFUSED) * 1_000, 1),
        "n_late": sum(wait > plan.deadline_s for waits in outcome.waits_s.values() for wait in waits),
        "n_refused_without_retry_after": outcome.n_without_retry_after,
        "n_wrong_answers": outcome.n_wrong,
        "rss_before_mb": round(rss_mb[0], 1),
        "rss_after_mb": round(rss_mb[-1], 1),
        "rss_most_mb": round(max(rss_mb), 1),
    }
    result["violations"] = _violations(result, max(rss_mb) - rss_mb[0])
    return result


def overload_rows(result: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return table rows."""
    return [
        ("capacity", f"{result['capacity_per_s']:.1f} chats/s", f"{_CLIENTS_AT_CAPACITY} clients, one chat a request"),
        (
            "offered",
            f"{result['offered_per_s']:.1f} chats/s",
            f"{result['n_clients']} clients, {result['n_chats_per_request']} chats a request, one request a deadline",
        ),
        ("answered", f"{result['n_answered']:,}", ""),
        ("refused, 429", f"{result['n_refused']:,}", f"longest {result['longest_refusal_ms']:,.0f} ms"),
        ("admitted and given up, 504", f"{result['n_given_up']:,}", "at most one in a hundred admitted"),
        ("longest wait", f"{result['longest_wait_ms']:,.0f} ms", f"deadline {result['deadline_ms']:,} ms"),
        ("waits beyond the deadline", f"{result['n_late']:,}", "0"),
        ("429 without retry-after", f"{result['n_refused_without_retry_after']:,}", "0"),
        ("wrong answers", f"{result['n_wrong_answers']:,}", "against the same server, asked alone"),
        ("RSS before", f"{result['rss_before_mb']:.1f} MB", "after the run that found the capacity"),
        ("RSS after", f"{result['rss_after_mb']:.1f} MB", f"largest {result['rss_most_mb']:.1f} MB"),
        ("not in order", ", ".join(result["violations"]) or "nothing", ""),
    ]


def _capacity_per_s(url: str, bodies: list[bytes], *, seconds: float) -> float:
    run_clients(url, bodies, n_clients=_CLIENTS_AT_CAPACITY, seconds=min(_WARM_UP_S, seconds))
    return run_clients(url, bodies, n_clients=_CLIENTS_AT_CAPACITY, seconds=seconds).per_s


def _note(rss_mb: list[float], console: ConsoleProcess) -> None:
    rss_mb.append(console.rss_mb())


def _violations(result: dict[str, Any], grown_mb: float) -> list[str]:
    n_admitted = result["n_answered"] + result["n_given_up"]
    unexpected = set(result["statuses"]) - {str(OK), str(REFUSED), str(GIVEN_UP)}
    found = {
        "a wait beyond the deadline": result["n_late"],
        "a 429 without retry-after": result["n_refused_without_retry_after"],
        "a wrong answer": result["n_wrong_answers"],
        "nothing answered": not result["n_answered"],
        "admitted requests given up": result["n_given_up"] > _MOST_GIVEN_UP * n_admitted,
        f"status {', '.join(sorted(unexpected))}": unexpected,
        f"memory grew by more than {_MOST_MB:.0f} MB": grown_mb > _MOST_MB,
    }
    return [name for name, is_so in found.items() if is_so]
