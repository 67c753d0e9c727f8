"""Topics of a measurement: fresh ones each time, removed afterwards, so that no number holds the traffic of another."""

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from loadtest.errors import LoadTestError

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Topics:
    """Where one measurement's records live."""

    bootstrap_servers: str
    events: str
    verdicts: str
    dead_letters: str
    group_id: str
    n_partitions: int
    # Out of every text: it may hold a password.
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further properties of every client, such as TLS and SASL."""


@contextmanager
def fresh_topics(
    bootstrap_servers: str, *, n_partitions: int, properties: Mapping[str, str] | None = None
) -> Iterator[Topics]:
    """Create the three topics with the cluster's default replication; delete them when the block ends.

    Args:
        bootstrap_servers: Kafka's addresses.
        n_partitions: Partitions of each topic.
        properties: Further client properties, such as TLS and SASL.

    Raises:
        LoadTestError: the brokers do not create them.
    """
    name = f"loadtest-{uuid.uuid4().hex[:10]}"
    topics = Topics(
        bootstrap_servers,
        f"{name}-events",
        f"{name}-verdicts",
        f"{name}-dlq",
        f"{name}-group",
        n_partitions,
        properties or {},
    )
    # Level 5 leaves out the library's note, on closing, that it drops its own queue.
    admin = _admin({"bootstrap.servers": bootstrap_servers, "log_level": 5, **topics.properties})
    names = [topics.events, topics.verdicts, topics.dead_letters]
    try:
        _await(admin.create_topics([NewTopic(one, num_partitions=n_partitions) for one in names]))
        _wait_until_led(admin, names, n_partitions)
    except KafkaException as error:
        raise LoadTestError(
            f"Kafka at {bootstrap_servers} did not create {n_partitions} partitions for each of {', '.join(names)}: "
            f"{error.args[0].str()}; check the address and the right to create topics"
        ) from error
    try:
        yield topics
    finally:
        for future in admin.delete_topics(names).values():
            future.exception(_TIMEOUT_S)


def _admin(config: dict[str, Any]) -> AdminClient:
    try:
        return AdminClient(config)
    except KafkaException as error:
        # The client's own text quotes the value, which may be a password.
        raise LoadTestError(
            f"the Kafka client refuses one of the properties {', '.join(sorted(config))}; expected names and values of "
            "librdkafka's CONFIGURATION.md; check --kafka-property and --kafka-config"
        ) from error


def _await(futures: dict[str, Any]) -> None:
    for future in futures.values():
        future.result(_TIMEOUT_S)


def _wait_until_led(admin: AdminClient, names: Sequence[str], n_partitions: int) -> None:
    """Wait until every partition has a leader: creation answers before that."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        known = admin.list_topics(timeout=_TIMEOUT_S).topics
        partitions = [p for name in names if name in known for p in known[name].partitions.values()]
        if len(partitions) == n_partitions * len(names) and all(p.leader >= 0 for p in partitions):
            return
        time.sleep(0.05)
    raise LoadTestError(f"{', '.join(names)}: not every partition has a leader after {_TIMEOUT_S} s; check the brokers")
