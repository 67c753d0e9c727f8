"""`soak`: many records or a long time, and the worker's memory over it."""

from contextlib import ExitStack
from typing import Annotated

import typer

from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.exit_codes import EXIT_WRONG_ANSWERS, exit_on_wrong_answers
from loadtest.options import (
    BootstrapOption,
    ConfigOption,
    EventsOption,
    HtmlOption,
    PartitionsOption,
    PropertyOption,
    RedisOption,
    SeedOption,
)
from loadtest.report import report
from loadtest.report.report import machine
from loadtest.run.kafka_properties import read_properties
from loadtest.run.open_loop import bench
from loadtest.services import services
from loadtest.soak.fault_injection import Struck
from loadtest.soak.fault_soak import FaultSoakPlan, invariants_held, run_fault_soak
from loadtest.soak.soak import SoakPlan, run_soak
from loadtest.soak.tables import fault_soak_rows, soak_rows

_EVENTS_TOTAL = 1_000_000
_FAULTS_S = 300.0
_CHANGED_RATIO = 0.3


def soak(
    *,
    events_total: Annotated[
        int | None,
        typer.Option(min=1_000, help="Events to send.", show_default="1,000,000; with --minutes no limit"),
    ] = None,
    minutes: Annotated[float | None, typer.Option(min=0.001, help="Send for so long.")] = None,
    duration: Annotated[
        float | None, typer.Option(min=1, help="The same in seconds.", show_default="with --faults 300")
    ] = None,
    faults: Annotated[
        bool,
        typer.Option(
            "--faults", help="Random faults from --seed strike workers, brokers, Redis and lines; checks I1 to I6."
        ),
    ] = False,
    rate: Annotated[float, typer.Option(min=1, help="Events per second; --faults only.")] = 30.0,
    new_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events with a new chat, which the model must judge.")
    ] = 0.0,
    in_flight: Annotated[
        int | None,
        typer.Option(min=1, help="Most events that wait for a verdict.", show_default="20,000; with new chats 2,000"),
    ] = None,
    chats: Annotated[int, typer.Option(min=1, help="Distinct chats that are repeated, at most.")] = 1_000,
    seed: SeedOption = 1,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    html: HtmlOption = None,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
    kafka_property: PropertyOption = None,
    kafka_config: ConfigOption = None,
) -> None:
    """Repeat a few chats as many records, cache hits but for --new-ratio of them, and watch the worker's memory.

    With --faults the stack is its own: three brokers and one Redis behind proxies, two workers.
    """
    if minutes and duration:
        raise typer.BadParameter("--minutes and --duration are both given; expected one of them")
    duration_s = minutes * 60 if minutes else duration
    if faults:
        if bootstrap_servers is not None or redis_url is not None:
            raise typer.BadParameter("--faults kills brokers and Redis; expected no addresses of running ones")
        changed = new_ratio or _CHANGED_RATIO
        fault_plan = FaultSoakPlan(duration_s or _FAULTS_S, rate, n_chats=chats, new_ratio=changed, seed=seed)
        _soak_with_faults(ChatPool.read(events, new_run_id(), limit=chats), fault_plan)
        return
    plan = SoakPlan(
        n_events=events_total or (None if duration_s else _EVENTS_TOTAL),
        duration_s=duration_s,
        new_ratio=new_ratio,
        seed=seed,
        in_flight=in_flight,
    )
    properties = read_properties(kafka_property or (), kafka_config)
    pool = ChatPool.read(events, new_run_id(), limit=chats)
    facts = machine()
    with ExitStack() as stack:
        addresses = stack.enter_context(services(bootstrap_servers, redis_url, properties))
        standing = bench(stack, addresses, pool, n_workers=1, n_partitions=partitions)
        result = run_soak(standing, plan)
    result["machine"] = facts
    report.print_table("soak" if new_ratio else "soak of the cached path", soak_rows(result))
    report.print_json_line(result)
    if html is not None:
        # matplotlib takes a second to import, and most runs need no report.
        from loadtest.report.html import soak_page, write_page  # noqa: PLC0415

        write_page(html, soak_page(result))
    exit_on_wrong_answers(result)


def _soak_with_faults(pool: ChatPool, plan: FaultSoakPlan) -> None:
    facts = machine()

    def told(struck: Struck) -> None:
        typer.echo(f"{struck.at_s:8.1f} s to {struck.ended_s:7.1f} s  {struck.what}", err=True)

    result = run_fault_soak(pool, plan, told) | {"machine": facts}
    report.print_table(f"soak with faults, seed {plan.seed}", fault_soak_rows(result))
    report.print_json_line(result)
    if not invariants_held(result):
        raise typer.Exit(EXIT_WRONG_ANSWERS)
