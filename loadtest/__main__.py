"""Measure the worker from outside: open-loop load, sizing, comparison with the bare limits, soak.

Each command prints a table and, last, one JSON line. Without --bootstrap-servers it starts the local stack for itself
and removes it afterwards. README.md in this folder says what is in each number. MODERATION_ variables other than
addresses, topics and ports are handed on to the worker under test.

Exit codes: 0 measured; 1 unexpected error; 2 wrong usage; 3 the measurement could not be taken; 4 events were lost,
duplicated or dead-lettered.
"""

import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from loadtest.api.command import api
from loadtest.api.overload_command import api_overload
from loadtest.backfill.command import backfill
from loadtest.capacity.fleet_simulation import Fleet
from loadtest.capacity.plan import Sizing, Traffic, make_plan, read_profile
from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.compare.baseline_loop import BaselineLoop
from loadtest.compare.command import baseline_session, compare, padded_session
from loadtest.exit_codes import EXIT_NOT_TAKEN, EXIT_WRONG_ANSWERS
from loadtest.hostile.command import hostile
from loadtest.options import BootstrapOption, EventsOption, PartitionsOption, RedisOption
from loadtest.report import report
from loadtest.report.report import machine, print_json_line
from loadtest.report.tables import plan_rows, replay_rows
from loadtest.run.command import run
from loadtest.run.open_loop import bench
from loadtest.scale.command import scale_demo
from loadtest.scale.replay_demo import ReplayPlan, run_replay_demo
from loadtest.services import services
from loadtest.soak.command import soak
from loadtest.sweep.command import sweep
from testkit.errors import HarnessError
from testkit.topics import Topics

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


app.command()(run)
app.command()(sweep)
app.command()(soak)
app.command()(hostile)
app.command()(backfill)
app.command()(api)
app.command(name="api-overload")(api_overload)
app.command(name="scale-demo")(scale_demo)


app.command()(compare)


@app.command()
def plan(
    *,
    rate_per_pod: Annotated[
        float, typer.Option(min=0.001, help="Chats/s of one busy pod, measured where it will run.")
    ],
    partitions: PartitionsOption = 12,
    base_rate: Annotated[float, typer.Option(min=0, help="Chats/s between bursts.")] = 60.0,
    burst_rate: Annotated[float, typer.Option(min=0, help="Chats/s in a burst.")] = 400.0,
    burst_s: Annotated[int, typer.Option(min=1, help="Length of a burst, seconds.")] = 300,
    burst_every_s: Annotated[int, typer.Option(min=2, help="From burst to burst, seconds.")] = 3_600,
    hours: Annotated[float, typer.Option(min=0.1, max=48, help="Length of the profile.")] = 4.0,
    profile: Annotated[
        Path | None, typer.Option(help="Instead: lines of second,rate; the last line ends the profile.")
    ] = None,
    wait_s: Annotated[float, typer.Option(min=0.1, help="How long a pod may need for its share of the lag.")] = 7.0,
    outage_s: Annotated[float, typer.Option(min=0, help="Outage to catch up after, seconds.")] = 1_800.0,
    vcpu_per_pod: Annotated[float, typer.Option(min=0.01, help="vCPUs of a pod.")] = 1.0,
    price: Annotated[float, typer.Option(min=0, help="Price of a vCPU-hour, in any currency.")] = 0.04,
    seed: Annotated[int, typer.Option(help="Same seed, same noise.")] = 1,
) -> None:
    """Size a deployment: replicas, lag threshold, catch-up, cost; checked by simulating the autoscaler."""
    traffic = Traffic(base_rate, burst_rate, burst_s, burst_every_s, round(hours * 3_600), seed)
    rates = read_profile(profile) if profile else traffic.rates()
    sizing = Sizing(wait_s=wait_s, outage_s=outage_s, vcpu_per_pod=vcpu_per_pod, price_per_vcpu_hour=price)
    result = make_plan(rates, Fleet(rate_per_pod, partitions), sizing)
    report.print_table("capacity plan", plan_rows(result))
    print_json_line(result)


@app.command(name="replay-demo")
def replay_demo(
    *,
    events_total: Annotated[int, typer.Option(min=1_000, help="Events that are judged, then replayed.")] = 200_000,
    processes: Annotated[int, typer.Option(min=1, help="Processes of the replay.")] = 4,
    kill: Annotated[int, typer.Option(min=0, max=4, help="Of those, how many are killed on the way.")] = 2,
    live_rate: Annotated[float, typer.Option(min=1, help="Live chats per second, meanwhile.")] = 20.0,
    replay_rate: Annotated[float, typer.Option(min=1, help="Cap of the replay, records per second.")] = 2_000.0,
    baseline: Annotated[int, typer.Option(min=1, help="Stretches of 10 s of undisturbed live load before.")] = 4,
    chats: Annotated[int, typer.Option(min=1, help="Distinct chats, at most.")] = 500,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
) -> None:
    """Replay a large history by several processes, kill some, and measure the live traffic beside it."""
    if kill >= processes:
        raise typer.BadParameter(f"--kill {kill} of --processes {processes}: expected some to be left")
    pool = ChatPool.read(events, new_run_id(), limit=chats)
    facts = machine()
    plan = ReplayPlan(events_total, processes, kill, live_rate, baseline, replay_rate)
    with ExitStack() as stack:
        addresses = stack.enter_context(services(bootstrap_servers, redis_url))
        standing = bench(stack, addresses, pool, n_workers=1, n_partitions=partitions)
        result = run_replay_demo(standing, addresses, plan)
    result["machine"] = facts
    report.print_table("replay beside live traffic", replay_rows(result))
    print_json_line(result)
    is_whole = result["complete"] and result["n_replayed_seen"] == result["n_read"]
    if not is_whole or result["n_duplicated"] or result["cache_went_back"] or result["n_killed"] != kill:
        raise typer.Exit(EXIT_WRONG_ANSWERS)


app.command(name="bare-session")(baseline_session)
app.command(name="padded-session")(padded_session)


@app.command(name="bare-loop")
def bare_loop(
    *,
    bootstrap_servers: Annotated[str, typer.Option(help="Kafka's addresses.")],
    redis_url: Annotated[str, typer.Option(help="Redis with the verdict of every chat.")],
    events_topic: Annotated[str, typer.Option(help="Where chat events come from.")],
    verdict_topic: Annotated[str, typer.Option(help="Where cached verdicts go.")],
    n_events: Annotated[int, typer.Option(min=1, help="Events to pass on before leaving.")],
) -> None:
    """Pass cached verdicts on with nothing but poll, orjson, MGET, produce and commit; `compare` starts it."""
    topics = Topics(bootstrap_servers, events_topic, verdict_topic, "", f"{events_topic}-group", 0)
    BaselineLoop(topics, redis_url).run(n_events, on_ready=lambda: print_json_line({"ready": True}))


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    # SIGTERM unwinds like Ctrl-C does, so that workers, topics and the local stack go away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_NOT_TAKEN))
    try:
        app()
    except HarnessError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_NOT_TAKEN)


if __name__ == "__main__":
    main()
