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
PartitionsOption = Annotated[int, typer.Option("--partitions", min=1, help="Partitions of each topic.")]
