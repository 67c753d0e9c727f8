"""`hostile`: records that are small in the topic and large in memory."""

from typing import Annotated

import typer

from loadtest.exit_codes import EXIT_WRONG_ANSWERS
from loadtest.hostile.hostile import run_hostile
from loadtest.options import BootstrapOption, ConfigOption, PropertyOption, RedisOption
from loadtest.report import report
from loadtest.report.report import machine
from loadtest.run.kafka_properties import read_properties
from loadtest.services import services


def hostile(
    *,
    records: Annotated[int, typer.Option(min=1, help="Records of each kind.")] = 30,
    bootstrap_servers: BootstrapOption = None,
    redis_url: RedisOption = None,
    kafka_property: PropertyOption = None,
    kafka_config: ConfigOption = None,
) -> None:
    """Send records that are dear to decode, eight kinds of 2 MB each, and watch the worker's memory and time."""
    properties = read_properties(kafka_property or (), kafka_config)
    facts = machine()
    with services(bootstrap_servers, redis_url, properties) as addresses:
        result = run_hostile(addresses, n_records=records)
    result["machine"] = facts
    rows = [
        (
            one["kind"],
            ", ".join(f"{n} {what}" for what, n in one["outcomes"].items()),
            f"{one['above_ready_mb']:.0f}",
            f"{one['decode_ms_per_record']:.0f}",
            f"{one['tokenize_ms_per_record']:.0f}",
            f"{one['worker_cpu_ms_per_record']:.0f}",
        )
        for one in result["kinds"]
    ]
    start = result["after_start"]
    rows.append(
        (
            "all of them, before the start",
            ", ".join(f"{n} {what}" for what, n in start["outcomes"].items()),
            f"{start['above_ready_mb']:.0f}",
            "",
            "",
            "",
        )
    )
    columns = ("records", "outcomes", "MB above ready", "decode ms", "tokenise ms", "CPU ms")
    title = f"hostile: {records} records of each kind; a ready worker has {result['ready_rss_mb']:.0f} MB"
    report.print_wide_table(title, columns, rows)
    report.print_json_line(result)
    if result["most_above_ready_mb"] > result["limit_mb"]:
        raise typer.Exit(EXIT_WRONG_ANSWERS)
