"""`backfill`: the same events through the worker, the command over Parquet and the Spark job."""

import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from loadtest.backfill.archive import judged_by_a_worker, write_archive
from loadtest.backfill.outcomes import compared, of_tables, once_each
from loadtest.backfill.programs import classify_by_spark, classify_parquet
from loadtest.chats import SAMPLE_CHATS, ChatPool, new_run_id
from loadtest.exit_codes import EXIT_WRONG_ANSWERS
from loadtest.options import BootstrapOption, EventsOption, PartitionsOption
from loadtest.report import report
from loadtest.report.report import machine, print_json_line
from loadtest.services import services


def backfill(
    *,
    events_total: Annotated[int, typer.Option(min=100, help="Records, one in a hundred of them bad.")] = 20_000,
    tasks: Annotated[int, typer.Option(min=2, help="Tasks of each Spark job.")] = 16,
    one_executor: Annotated[
        bool, typer.Option(help="Run Spark with one executor too, for the ratio of two to one.")
    ] = True,
    events: EventsOption = SAMPLE_CHATS,
    partitions: PartitionsOption = 3,
    bootstrap_servers: BootstrapOption = None,
) -> None:
    """Judge events three ways, compare every verdict, kill an executor on the way; needs `make setup-spark`."""
    facts = machine()
    pool = ChatPool.read(events, new_run_id())
    with tempfile.TemporaryDirectory(prefix="verdictstream-backfill-") as name:
        folder = Path(name)
        with ExitStack() as stack:
            # Without a cache: the worker must judge what the others judge.
            addresses = replace(stack.enter_context(services(bootstrap_servers, None)), redis_url=None)
            topics = stack.enter_context(addresses.fresh_topics(n_partitions=partitions))
            by_worker = judged_by_a_worker(addresses, topics, pool, events_total)
            write_archive(topics, folder / "in")
        result = _archive_runs(folder, by_worker, n_tasks=tasks, one_executor=one_executor)
    result = {"n_events": events_total, **result, "machine": facts}
    report.print_wide_table(
        f"{events_total:,} records three ways",
        ("way", "seconds", "rows/s", "missing", "different", "twice", "last decimal"),
        [_table_row(way, one, events_total) for way, one in result["ways"].items()],
    )
    print_json_line(result)
    if not result["equal"]:
        raise typer.Exit(EXIT_WRONG_ANSWERS)


def _archive_runs(folder: Path, by_worker: dict[str, Any], *, n_tasks: int, one_executor: bool) -> dict[str, Any]:
    ways: dict[str, Any] = {
        "worker": {"seconds": round(by_worker["seconds"], 1), "n_missing": 0, "n_different": 0}
        | {"n_twice": 0, "n_last_decimal": 0}
    }

    def book(way: str, out: Path, **facts: Any) -> None:
        outcomes, n_twice = once_each(of_tables(out))
        found = compared(by_worker["outcomes"], outcomes)
        ways[way] = {**facts, **found._asdict(), "n_twice": n_twice}

    seconds = classify_parquet(folder / "in", folder / "command", n_threads=2)
    book("command", folder / "command", seconds=round(seconds, 1))
    plans = [("spark, 2 executors", 2, False), ("spark, 2 executors, one killed", 2, True)]
    if one_executor:
        plans.insert(0, ("spark, 1 executor", 1, False))
    for number, (way, n_executors, kill) in enumerate(plans):
        out = folder / f"spark-{number}"
        facts = classify_by_spark(
            folder / "in", out, n_executors=n_executors, n_tasks=n_tasks, folder=folder / f"home-{number}", kill=kill
        )
        book(way, out, **facts)
    ratio = None
    if one_executor:
        ratio = round(ways["spark, 1 executor"]["seconds"] / ways["spark, 2 executors"]["seconds"], 2)
    equal = not any(one["n_missing"] or one["n_different"] or one["n_twice"] for one in ways.values())
    return {"equal": equal, "two_executors_to_one": ratio, "target_ratio": 1.6, "ways": ways}


def _table_row(way: str, one: dict[str, Any], n_events: int) -> list[str]:
    counts = [str(one[name]) for name in ("n_missing", "n_different", "n_twice", "n_last_decimal")]
    return [way, f"{one['seconds']:.1f}", f"{n_events / one['seconds']:.0f}", *counts]
