"""`run`: one load on a schedule, measured from the intended time to the committed verdict."""

from contextlib import ExitStack
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.errors import LoadTestError
from loadtest.exit_codes import exit_on_wrong_answers
from loadtest.options import (
    BootstrapOption,
    ConfigOption,
    EventsOption,
    HtmlOption,
    OtherCpusOption,
    PartitionsOption,
    PropertyOption,
    RedisOption,
    RepeatOption,
    SeedOption,
    WorkerCpusOption,
)
from loadtest.placement import Placement
from loadtest.report import report
from loadtest.report.report import machine
from loadtest.report.tables import lone_rows
from loadtest.run.arrivals_file import read_arrivals
from loadtest.run.kafka_properties import read_properties
from loadtest.run.open_loop import Load, bench, run_load, run_lone
from loadtest.run.schedule import Schedule
from loadtest.run.tables import load_rows
from loadtest.services import services

_DURATION_S = 30.0


class Shape(StrEnum):
    """How arrivals are spread over time."""

    CONSTANT = "constant"
    RAMP = "ramp"
    BURST = "burst"
    REPLAY = "replay"


def run(
    *,
    shape: Annotated[Shape, typer.Option("--schedule", help="Shape of the arrivals.")] = Shape.CONSTANT,
    rate: Annotated[float, typer.Option(min=0.001, help="Chats per second; of a ramp, at its start.")] = 50.0,
    duration: Annotated[
        float | None,
        typer.Option(min=0.001, help="Length of the load, seconds.", show_default="30; burst: 10 s + burst + 15 s"),
    ] = None,
    to_rate: Annotated[float | None, typer.Option(min=0, help="Ramp: chats per second at its end.")] = None,
    burst_factor: Annotated[float, typer.Option(min=0.001, help="Burst: times the rate.")] = 4.0,
    burst_s: Annotated[float, typer.Option(min=0.001, help="Burst: its length, seconds.")] = 10.0,
    burst_at_s: Annotated[float, typer.Option(min=0.001, help="Burst: when it begins, seconds.")] = 10.0,
    recovered_ms: Annotated[float, typer.Option(min=0, help="Burst: p99 that counts as recovered, ms.")] = 100.0,
    arrivals: Annotated[
        Path | None,
        typer.Option(
            help="Replay: file of times, one per line, or of chat events with sent_at, timestamp, createdAt …"
        ),
    ] = None,
    speed: Annotated[float, typer.Option(min=0.001, help="Replay: times as fast as recorded.")] = 1.0,
    lone: Annotated[
        int,
        typer.Option(min=0, help="Instead of a load: this many new chats one at a time on an idle worker."),
    ] = 0,
    gap_ms: Annotated[float, typer.Option(min=0, help="With --lone: least time between two chats, ms.")] = 100.0,
    repeat_ratio: RepeatOption = 0.2,
    seed: SeedOption = 1,
    workers: Annotated[int, typer.Option(min=1, help="Workers in the group.")] = 1,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    html: HtmlOption = None,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
    kafka_property: PropertyOption = None,
    kafka_config: ConfigOption = None,
    worker_cpus: WorkerCpusOption = None,
    other_cpus: OtherCpusOption = None,
) -> None:
    """Send chats on a schedule or one at a time; measure latency from the intended time to the committed verdict."""
    if html is not None and lone:
        raise typer.BadParameter("--html with --lone: a report needs a load; leave one of them out")
    schedule = _schedule(
        shape,
        rate=rate,
        duration=duration,
        to_rate=to_rate,
        burst=(burst_factor, burst_at_s, burst_s),
        recorded=(arrivals, speed),
    )
    pool = ChatPool.read(events, new_run_id())
    facts = machine()
    with ExitStack() as stack:
        addresses = stack.enter_context(
            services(
                bootstrap_servers,
                redis_url,
                read_properties(kafka_property or (), kafka_config),
                Placement.of(worker_cpus, other_cpus),
            )
        )
        standing = bench(stack, addresses, pool, n_workers=workers, n_partitions=partitions)
        if lone:
            result = run_lone(standing, n_events=lone, gap_s=gap_ms / 1_000)
        else:
            result = run_load(standing, Load(schedule, repeat_ratio, seed, recovered_ms))
    start_to_ready_s = round(max(worker.start_to_ready_s for worker in standing.workers), 2)
    result |= {
        "start_to_ready_s": start_to_ready_s,
        "n_workers": workers,
        "machine": facts,
        **addresses.placement.facts(),
    }
    report.print_table(
        "lone events" if lone else f"open-loop load: {schedule.kind}", (lone_rows if lone else load_rows)(result)
    )
    report.print_json_line(result)
    if html is not None:
        _write_html(html, result)
    exit_on_wrong_answers(result)


def _write_html(path: Path, result: dict[str, Any]) -> None:
    # matplotlib takes a second to import, and most runs need no report.
    from loadtest.report.html import run_page, write_page  # noqa: PLC0415

    write_page(path, run_page(result))


def _schedule(
    shape: Shape,
    *,
    rate: float,
    duration: float | None,
    to_rate: float | None,
    burst: tuple[float, float, float],
    recorded: tuple[Path | None, float],
) -> Schedule:
    """Return the schedule that the options describe.

    Raises:
        BadParameter: they describe none.
    """
    factor, at_s, burst_s = burst
    arrivals, speed = recorded
    if (to_rate is None) != (shape is not Shape.RAMP):
        raise typer.BadParameter(f"--schedule {shape} and --to-rate {to_rate}: a ramp needs it, the others have none")
    if (arrivals is None) != (shape is not Shape.REPLAY):
        raise typer.BadParameter(
            f"--schedule {shape} and --arrivals {arrivals}: a replay needs it, the others have none"
        )
    try:
        match shape:
            case Shape.RAMP:
                return Schedule.ramp(from_per_s=rate, to_per_s=to_rate or 0.0, duration_s=duration or _DURATION_S)
            case Shape.BURST:
                whole_s = duration or at_s + burst_s + 15.0
                return Schedule.burst(rate_per_s=rate, factor=factor, at_s=at_s, burst_s=burst_s, duration_s=whole_s)
            case Shape.REPLAY if arrivals is not None:
                return Schedule.replayed(read_arrivals(arrivals), speed=speed, duration_s=duration)
            case _:
                return Schedule.constant(rate_per_s=rate, duration_s=duration or _DURATION_S)
    except ValueError as error:
        raise LoadTestError(f"--schedule {shape}: {error}") from error
