"""The command `scale-demo`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.exit_codes import EXIT_WRONG_ANSWERS
from loadtest.report import report
from loadtest.report.report import machine, print_json_line
from loadtest.scale.demo import ScalePlan, run_scale_demo, three_brokers


class Protocols(StrEnum):
    """Which group protocols are shown."""

    CLASSIC = "classic"
    CONSUMER = "consumer"
    BOTH = "both"


def scale_demo(
    *,
    protocol: Annotated[Protocols, typer.Option(help="Group protocol; both: one after the other.")] = Protocols.BOTH,
    most: Annotated[int, typer.Option(min=2, help="Workers at the peak; about 270 MB each.")] = 8,
    left: Annotated[int, typer.Option(min=1, help="Workers after it.")] = 2,
    rate: Annotated[float, typer.Option(min=1, help="Events per second, evenly spaced.")] = 100.0,
    chats: Annotated[int, typer.Option(min=1, help="Chats that the events go round.")] = 500,
    fresh_ratio: Annotated[
        float,
        typer.Option(min=0.001, max=1, help="Share of the events that change their chat; the cache has the rest."),
    ] = 0.1,
    hold: Annotated[float, typer.Option(min=0, help="How long each phase is held after its act, seconds.")] = 10.0,
    partitions: Annotated[int, typer.Option(min=1, help="Partitions of each topic.")] = 12,
    events: Annotated[
        Path, typer.Option("--events", help="JSON lines of chats.", show_default="the sample chats")
    ] = SAMPLE_CHATS,
) -> None:
    """Scale workers up and down, restart and kill them, lose a broker, under load, on three real brokers."""
    plan = ScalePlan(most, left, rate, chats, fresh_ratio, hold, partitions)
    names = ["classic", "consumer"] if protocol is Protocols.BOTH else [protocol.value]
    facts = machine()
    runs: list[dict[str, Any]] = []
    with three_brokers() as cluster:
        for name in names:
            pool = ChatPool.read(events, new_run_id(), limit=chats)
            runs.append(run_scale_demo(cluster, pool, plan, name))
            report.print_table(f"{name} group protocol", scale_rows(runs[-1]))
    print_json_line({"runs": runs, "machine": facts})
    if not all(map(is_right, runs)):
        raise typer.Exit(EXIT_WRONG_ANSWERS)


def is_right(run: dict[str, Any]) -> bool:
    """Say whether nothing was lost, doubled, out of order or rejected, and no chat paused for longer than the bound."""
    wrong = ("n_lost", "n_duplicated", "n_out_of_order", "n_dead_letters")
    return not any(run[name] for name in wrong) and all(
        phase["pause_max_s"] <= run["bound_s"] for phase in run["phases"]
    )


def scale_rows(run: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the rows of one run."""
    return [
        *(
            (
                phase["name"],
                f"{phase['pause_max_s']:.2f} s",
                f"longest pause of a chat; median of {phase['n_chats']} chats {phase['pause_median_s']:.2f} s",
            )
            for phase in run["phases"]
        ),
        ("bound", f"{run['bound_s']:.0f} s", "session time-out + transaction time-out + grace"),
        ("events", f"{run['n_sent']:,}", "one verdict each"),
        ("lost / duplicated", f"{run['n_lost']} / {run['n_duplicated']}", "expected 0 / 0"),
        ("out of order / dead letters", f"{run['n_out_of_order']} / {run['n_dead_letters']}", "expected 0 / 0"),
    ]
