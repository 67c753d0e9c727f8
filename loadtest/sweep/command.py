"""`sweep`: search each setting of a grid for the highest rate that holds the target, and print the sizing."""

import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from typing import Annotated, Any

import typer

from loadtest.capacity.plan import Sizing
from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.exit_codes import EXIT_WRONG_ANSWERS
from loadtest.options import (
    BootstrapOption,
    ConfigOption,
    EventsOption,
    HtmlOption,
    PartitionsOption,
    PropertyOption,
    RedisOption,
    RepeatOption,
    SeedOption,
)
from loadtest.report import report
from loadtest.report.report import machine
from loadtest.run.compact_ledger import CompactLedger
from loadtest.run.kafka_properties import read_properties
from loadtest.run.open_loop import Bench, Load, bench, run_load
from loadtest.run.schedule import Schedule
from loadtest.services import Services, services
from loadtest.sweep.sweep import Found, Search, Setting, Trial, grid, highest_rate, is_hopeless, size
from loadtest.sweep.tables import setting_name, sizing_table


@dataclass(frozen=True)
class Trials:
    """How one rate is tried.

    Args:
        duration_s: Length of a trial.
        repeat_ratio: Share of events that repeat an earlier chat, 0 to 1.
        seed: Same seed, same chats.
        p99_ms: The target.
    """

    duration_s: float
    repeat_ratio: float
    seed: int
    p99_ms: float

    def run(self, standing: Bench, rate_per_s: float, number: int) -> Trial:
        """Run one trial, over chats of its own; it ends early where the target is out of reach."""
        pool = ChatPool(standing.pool.conversations, f"{standing.pool.run_id}-trial{number}")
        schedule = Schedule.constant(rate_per_s=rate_per_s, duration_s=self.duration_s)

        def hopeless(ledger: CompactLedger) -> bool:
            return is_hopeless(
                n_unanswered=ledger.n_lost, rate_per_s=rate_per_s, n_events=len(schedule), p99_ms=self.p99_ms
            )

        load = Load(schedule, self.repeat_ratio, self.seed)
        result = run_load(replace(standing, pool=pool), load, is_over=hopeless)
        return Trial(
            rate_per_s=rate_per_s,
            p99_ms=result["latency"]["p99_ms"],
            n_wrong=result["n_lost"] + result["n_duplicated"] + result["n_dead_letters"],
            generator_late_p99_ms=result["generator_late_p99_ms"],
            given_up=result["n_sent"] < len(schedule),
            result=result,
        )


def sweep(
    *,
    p99_ms: Annotated[
        float, typer.Option(min=1, help="The target: p99 from intended time to committed verdict.")
    ] = 100.0,
    workers: Annotated[list[int] | None, typer.Option(min=1, help="Workers in the group; repeatable.")] = None,
    threads: Annotated[
        list[int] | None, typer.Option(min=1, help="Inference threads of each; repeatable.", show_default="usable CPUs")
    ] = None,
    batch_records: Annotated[list[int] | None, typer.Option(min=1, help="Records of a batch; repeatable.")] = None,
    padded_tokens: Annotated[list[int] | None, typer.Option(min=1, help="Tokens of an inference; repeatable.")] = None,
    thin_s: Annotated[list[float] | None, typer.Option(min=0.001, help="Intended batch time; repeatable.")] = None,
    duration: Annotated[float, typer.Option(min=0.1, help="Length of a trial, seconds.")] = 20.0,
    from_rate: Annotated[float, typer.Option(min=0.5, help="First rate that is tried, chats/s.")] = 20.0,
    to_rate: Annotated[float, typer.Option(min=0.5, help="Highest rate that is tried, chats/s.")] = 20_000.0,
    precision: Annotated[
        float, typer.Option(min=0.001, max=1, help="Share by which the answer may be too low.")
    ] = 0.05,
    target_rate: Annotated[float, typer.Option(min=0.001, help="Chats/s that the deployment is for.")] = 1_000.0,
    utilisation: Annotated[float, typer.Option(min=0.01, max=1, help="How busy pods may be at that rate.")] = 0.8,
    price_per_vcpu_hour: Annotated[float, typer.Option(min=0, help="In any currency.")] = 0.04,
    repeat_ratio: RepeatOption = 0.2,
    seed: SeedOption = 1,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 12,
    html: HtmlOption = None,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
    kafka_property: PropertyOption = None,
    kafka_config: ConfigOption = None,
) -> None:
    """Find the highest rate that holds a latency target, for each setting of a grid, and size a deployment with it."""
    n_cpus = len(os.sched_getaffinity(0))
    settings = grid(
        workers=workers or [1],
        threads=threads or [n_cpus],
        batch_records=batch_records or [None],
        padded_tokens=padded_tokens or [None],
        thin_s=thin_s or [None],
    )
    search = Search(p99_ms, from_rate, to_rate, precision)
    how = Trials(duration, repeat_ratio, seed, p99_ms)
    sizing = Sizing(utilisation_ratio=utilisation, price_per_vcpu_hour=price_per_vcpu_hour)
    properties = read_properties(kafka_property or (), kafka_config)
    pool = ChatPool.read(events, new_run_id())
    facts = machine()
    found: list[dict[str, Any]] = []
    with services(bootstrap_servers, redis_url, properties) as addresses:
        for setting in settings:
            answer = _search(addresses, pool, setting, partitions=partitions, search=search, how=how)
            found.append(_told(answer, setting, search, n_cpus=n_cpus, target_rate=target_rate, sizing=sizing))
    result = {
        "p99_target_ms": p99_ms,
        "trial_s": duration,
        "price_per_vcpu_hour": price_per_vcpu_hour,
        "utilisation_ratio": utilisation,
        "target_rate": target_rate,
        "settings": found,
        "machine": facts,
    }
    report.print_wide_table(
        f"highest rate with p99 ≤ {p99_ms:g} ms, sized for {target_rate:,g}/s", *sizing_table(result)
    )
    report.print_json_line(result)
    if html is not None:
        # matplotlib takes a second to import, and most sweeps need no report.
        from loadtest.report.html import sweep_page, write_page  # noqa: PLC0415

        write_page(html, sweep_page(result))
    if any(trial["n_wrong"] for one in found for trial in one["trials"]):
        raise typer.Exit(EXIT_WRONG_ANSWERS)


def _search(
    addresses: Services, pool: ChatPool, setting: Setting, *, partitions: int, search: Search, how: Trials
) -> Found:
    """Search one setting, with topics and workers of its own."""
    n_trials = 0
    # Chat ids of its own: the settings share one Redis, and must not answer each other's chats.
    pool = ChatPool(pool.conversations, new_run_id())
    name = setting_name(asdict(setting))
    with ExitStack() as stack:
        standing = bench(
            stack,
            addresses,
            pool,
            n_workers=setting.n_workers,
            n_partitions=partitions,
            settings=setting.environment(),
        )

        def attempt(rate: float) -> Trial:
            nonlocal n_trials
            n_trials += 1
            trial = how.run(standing, rate, n_trials)
            typer.echo(f"{name}: {rate:,.1f}/s: p99 {trial.p99_ms:,.1f} ms: {trial.verdict(search.p99_ms)}", err=True)
            return trial

        return highest_rate(attempt, search)


def _told(
    answer: Found, setting: Setting, search: Search, *, n_cpus: int, target_rate: float, sizing: Sizing
) -> dict[str, Any]:
    """Return what was found of one setting, for the table and the JSON line."""
    told: dict[str, Any] = {
        "setting": asdict(setting),
        "rate_per_s": None,
        "limit": answer.limit(search.p99_ms),
        "trials": [
            {
                "rate_per_s": round(one.rate_per_s, 2),
                "p99_ms": one.p99_ms,
                "verdict": one.verdict(search.p99_ms),
                "n_wrong": one.n_wrong,
            }
            for one in answer.trials
        ],
    }
    if answer.best is None:
        return told
    best, measured = answer.best, answer.best.result
    kept = ("hit_ratio", "padding_ratio", "worker_cpu_cores", "worker_rss_mb", "stage_latency_ms", "stage_us_per_event")
    return {
        **told,
        "rate_per_s": round(best.rate_per_s, 2),
        "p99_ms": best.p99_ms,
        **{name: measured[name] for name in kept},
        "sizing": size(best.rate_per_s, setting, n_cpus=n_cpus, target_rate=target_rate, sizing=sizing),
    }
