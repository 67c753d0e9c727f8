"""The examples, built once per session, beside the real Kafka, Redis and worker of the integration tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.consumers.example import Example, RunningExample
from tests.integration.conftest import (  # noqa: F401  (fixtures are found by their names)
    cache,
    group_protocol,
    ledger,
    n_partitions,
    redis_binary,
    settings,
    start_worker,
    topics,
)

StartExample = Callable[..., RunningExample]


@pytest.fixture
def start_example(tmp_path: Path) -> Iterator[StartExample]:
    """Return a function that starts a built example; keyword arguments are variables of its environment."""
    started: list[RunningExample] = []

    def start(example: Example, *arguments: str, **environment: str) -> RunningExample:
        folder = tmp_path / f"example-{len(started)}"
        folder.mkdir()
        running = RunningExample(example, arguments, environment, folder)
        started.append(running)
        return running

    yield start
    for running in started:
        running.kill()
