"""Measure the worker from outside: open-loop load, comparison with the bare limits, soak.

Each command prints a table and, last, one JSON line. Without --bootstrap-servers it starts the local stack for itself
and removes it afterwards. README.md in this folder says what is in each number. MODERATION_ variables other than
addresses, topics and ports are handed on to the worker under test.

Exit codes: 0 measured; 1 unexpected error; 2 wrong usage; 3 the measurement could not be taken; 4 events were lost,
duplicated or dead-lettered.
"""

import os
import signal
import sys
import uuid
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from loadtest import report
from loadtest.bare_loop import BareLoop
from loadtest.bare_session import BareSession
from loadtest.chats import SAMPLE_CHATS, ChatPool
from loadtest.compare import Comparison, Plan
from loadtest.errors import LoadTestError
from loadtest.fleet_simulation import Fleet
from loadtest.open_loop import Load, bench, run_load, run_lone
from loadtest.plan import Sizing, Traffic, make_plan, read_profile
from loadtest.replay_demo import ReplayPlan, run_replay_demo
from loadtest.report import machine, print_json_line
from loadtest.scale_command import scale_demo
from loadtest.services import services
from loadtest.soak import run_soak
from loadtest.tables import compare_rows, load_rows, lone_rows, plan_rows, replay_rows, soak_rows
from loadtest.topics import Topics

EXIT_NOT_TAKEN: Final = 3
EXIT_WRONG_ANSWERS: Final = 4

_DEFAULT_BUNDLE: Final = Path(__file__).parents[1] / "model" / "bundles" / "default"

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command(name="scale-demo")(scale_demo)

EventsOption = Annotated[Path, typer.Option("--events", help="JSON lines of chats.", show_default="the sample chats")]
BootstrapOption = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka's addresses; without them the local stack is started.")
]
RedisOption = Annotated[
    str | None, typer.Option("--redis-url", help="Redis' address; given brokers without it mean no cache.")
]
PartitionsOption = Annotated[int, typer.Option("--partitions", min=1, help="Partitions of each topic.")]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="Inference threads; 0 takes one per usable CPU.")]
BundleOption = Annotated[
    Path | None,
    typer.Option("--bundle", help="Bundle folder.", show_default="MODERATION_MODEL__PATH, else the shipped bundle"),
]
PaddedTokensOption = Annotated[int, typer.Option(min=1, help="Padded tokens of one inference of the bare session.")]
RowsOption = Annotated[int, typer.Option(min=1, help="Rows of one inference of the bare session.")]


@app.command()
def run(
    *,
    rate: Annotated[float, typer.Option(min=0.001, help="Chats per second, evenly spaced.")] = 50.0,
    duration: Annotated[float, typer.Option(min=0.001, help="Length of the load, seconds.")] = 30.0,
    lone: Annotated[
        int,
        typer.Option(min=0, help="Instead of the load: this many new chats one at a time on an idle worker."),
    ] = 0,
    gap_ms: Annotated[float, typer.Option(min=0, help="With --lone: least time between two chats, ms.")] = 100.0,
    repeat_ratio: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events that repeat an earlier chat unchanged.")
    ] = 0.2,
    seed: Annotated[int, typer.Option(help="Same seed, same sequence of chats.")] = 1,
    workers: Annotated[int, typer.Option(min=1, help="Workers in the group.")] = 1,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
) -> None:
    """Send chats on a schedule or one at a time; measure latency from the intended time to the committed verdict."""
    pool = ChatPool.read(events, _run_id())
    facts = machine()
    with ExitStack() as stack:
        addresses = stack.enter_context(services(bootstrap_servers, redis_url))
        standing = bench(stack, addresses, pool, n_workers=workers, n_partitions=partitions)
        if lone:
            result = run_lone(standing, n_events=lone, gap_s=gap_ms / 1_000)
        else:
            result = run_load(standing, Load(rate, duration, repeat_ratio, seed))
    start_to_ready_s = round(max(worker.start_to_ready_s for worker in standing.workers), 2)
    result |= {"start_to_ready_s": start_to_ready_s, "n_workers": workers, "machine": facts}
    report.print_table("lone events" if lone else "open-loop load", (lone_rows if lone else load_rows)(result))
    print_json_line(result)
    _exit_on_wrong_answers(result)


@app.command()
def compare(
    *,
    pairs: Annotated[int, typer.Option(min=1, help="Interleaved repetitions.")] = 5,
    chats: Annotated[int, typer.Option(min=1, help="Distinct chats, at most.")] = 2_000,
    hit_events: Annotated[int, typer.Option(min=1, help="Events of a cached passage.")] = 20_000,
    lone: Annotated[int, typer.Option(min=1, help="Lone events at the end.")] = 200,
    threads: ThreadsOption = 0,
    max_padded_tokens: PaddedTokensOption = 512,
    max_rows: RowsOption = 64,
    bundle: BundleOption = None,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
) -> None:
    """Compare the worker with the bare ONNX session and the bare cached loop: same chats, interleaved pairs."""
    plan = Plan(
        bundle=_bundle(bundle),
        n_pairs=pairs,
        n_hit_events=hit_events,
        n_lone=lone,
        n_threads=threads or len(os.sched_getaffinity(0)),
        n_partitions=partitions,
        max_padded_tokens=max_padded_tokens,
        max_rows=max_rows,
    )
    os.environ["MODERATION_MODEL__PATH"] = str(plan.bundle)
    pool = ChatPool.read(events, _run_id(), limit=chats)
    facts = machine()
    with services(bootstrap_servers, redis_url) as addresses:
        result = Comparison(addresses, pool, plan, say=lambda text: typer.echo(text, err=True)).run()
    result["machine"] = facts
    report.print_table("worker against its limits", compare_rows(result))
    print_json_line(result)


@app.command()
def soak(
    *,
    events_total: Annotated[int, typer.Option(min=1_000, help="Events to send.")] = 1_000_000,
    chats: Annotated[int, typer.Option(min=1, help="Distinct chats, at most.")] = 1_000,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
) -> None:
    """Repeat a few chats as many records, nearly all of them cache hits, and watch the worker's memory."""
    pool = ChatPool.read(events, _run_id(), limit=chats)
    facts = machine()
    with ExitStack() as stack:
        addresses = stack.enter_context(services(bootstrap_servers, redis_url))
        standing = bench(stack, addresses, pool, n_workers=1, n_partitions=partitions)
        result = run_soak(standing, n_events=events_total)
    result["machine"] = facts
    report.print_table("soak of the cached path", soak_rows(result))
    print_json_line(result)
    _exit_on_wrong_answers(result)


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
    pool = ChatPool.read(events, _run_id(), limit=chats)
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


@app.command(name="bare-session")
def bare_session(
    *,
    texts: Annotated[Path, typer.Option(help="JSON lines of `python -m model render`.")],
    bundle: BundleOption = None,
    threads: ThreadsOption = 0,
    max_padded_tokens: PaddedTokensOption = 512,
    max_rows: RowsOption = 64,
) -> None:
    """Time tokenizer and ONNX session alone over rendered texts; `compare` starts it. Prints one JSON line."""
    session = BareSession(_bundle(bundle), n_threads=threads or len(os.sched_getaffinity(0)))
    lines = [orjson.loads(line)["text"] for line in texts.read_bytes().splitlines()]
    print_json_line(session.measure(lines, max_padded_tokens=max_padded_tokens, max_rows=max_rows))


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
    BareLoop(topics, redis_url).run(n_events, on_ready=lambda: print_json_line({"ready": True}))


def _run_id() -> str:
    return f"lt{uuid.uuid4().hex[:8]}"


def _bundle(named: Path | None) -> Path:
    return (named or Path(os.environ.get("MODERATION_MODEL__PATH", _DEFAULT_BUNDLE))).resolve()


def _exit_on_wrong_answers(result: dict[str, int]) -> None:
    if result["n_lost"] or result["n_duplicated"] or result["n_dead_letters"]:
        raise typer.Exit(EXIT_WRONG_ANSWERS)


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    # SIGTERM unwinds like Ctrl-C does, so that workers, topics and the local stack go away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_NOT_TAKEN))
    try:
        app()
    except LoadTestError as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_NOT_TAKEN)


if __name__ == "__main__":
    main()
