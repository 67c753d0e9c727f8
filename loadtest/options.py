"""Options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

EventsOption = Annotated[Path, typer.Option("--events", help="JSON lines of chats.", show_default="the sample chats")]
BootstrapOption = Annotated[
    str | None, typer.Option("--bootstrap-servers", help="Kafka's addresses; without them the local stack is started.")
]
RedisOption = Annotated[
    str | None, typer.Option("--redis-url", help="Redis' address; given brokers without it mean no cache.")
]
PropertyOption = Annotated[
    list[str] | None,
    typer.Option(
        "--kafka-property",
        metavar="NAME=VALUE",
        help="TLS and SASL of given brokers, as librdkafka names them; repeatable. Secrets belong in --kafka-config.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--kafka-config", help="The same from a file: one name=value per line.")
]
PartitionsOption = Annotated[int, typer.Option("--partitions", min=1, help="Partitions of each topic.")]
HtmlOption = Annotated[Path | None, typer.Option("--html", help="Write a report with plots, one file, to this path.")]
RepeatOption = Annotated[
    float, typer.Option("--repeat-ratio", min=0, max=1, help="Share of events that repeat an earlier chat unchanged.")
]
WorkerCpusOption = Annotated[
    str | None,
    typer.Option("--worker-cpus", help="CPUs of what is measured, such as 0 or 0-1,4; with --other-cpus."),
]
OtherCpusOption = Annotated[
    str | None, typer.Option("--other-cpus", help="CPUs of broker, Redis, generator and reader; none of the worker's.")
]
SeedOption = Annotated[int, typer.Option("--seed", help="Same seed, same sequence of chats.")]
