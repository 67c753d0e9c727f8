"""Where Kafka and Redis are: given, or a local stack that is started for the measurement and removed after it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from loadtest.errors import LoadTestError
from loadtest.placement import Placement
from testkit.topics import Topics, fresh_topics

_START_TIMEOUT_S: Final = 300.0
"""The first start downloads Kafka's jars."""
_STOP_TIMEOUT_S: Final = 60.0


@dataclass(frozen=True)
class Services:
    """Addresses. Without a Redis address workers run without a cache."""

    bootstrap_servers: str
    # Out of every text: both may hold a password.
    redis_url: str | None = field(repr=False)
    kafka_properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further properties of every Kafka client, such as TLS and SASL."""
    placement: Placement = field(default_factory=Placement)
    """Where what is measured runs; given brokers stand where they stand."""

    def fresh_topics(self, *, n_partitions: int) -> AbstractContextManager[Topics]:
        """Create the topics of one measurement; they go when the block ends."""
        return fresh_topics(
            self.bootstrap_servers, prefix="loadtest", n_partitions=n_partitions, properties=self.kafka_properties
        )


@contextmanager
def services(
    bootstrap_servers: str | None,
    redis_url: str | None,
    kafka_properties: Mapping[str, str] | None = None,
    placement: Placement | None = None,
) -> Iterator[Services]:
    """Yield the given addresses, or those of a local stack where no brokers are given.

    This process goes to the CPUs of the others; what it starts goes with it, but for what is measured.

    Raises:
        LoadTestError: the local stack does not start, or a Redis was given without brokers.
    """
    placement = placement or Placement()
    placement.take()
    if bootstrap_servers is not None:
        yield Services(bootstrap_servers, redis_url, kafka_properties or {}, placement)
        return
    if kafka_properties:
        raise LoadTestError("Kafka properties are given without --bootstrap-servers; expected both or neither")
    if redis_url is not None:
        raise LoadTestError("--redis-url is given without --bootstrap-servers; expected both or neither")
    with tempfile.TemporaryDirectory(prefix="verdictstream-loadtest-") as folder:
        try:
            yield replace(_start(Path(folder)), placement=placement)
        finally:
            _local_stack("down", Path(folder), _STOP_TIMEOUT_S)


def _start(folder: Path) -> Services:
    done = _local_stack("up", folder, _START_TIMEOUT_S)
    if done.returncode:
        raise LoadTestError(
            f"the local stack did not start (exit code {done.returncode}): {done.stderr.strip()[-1000:]}; "
            "name running servers with --bootstrap-servers and --redis-url instead"
        )
    addresses = json.loads(done.stdout.splitlines()[-1])
    return Services(addresses["bootstrap_servers"], addresses["redis_url"])


def _local_stack(command: str, folder: Path, timeout_s: float) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  this project's own command line
        [sys.executable, "-m", "deploy.local", command, "--state-dir", str(folder)],
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
