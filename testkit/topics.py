"""The topics of one run: their names, how a worker is told of them, and how fresh ones are made and removed."""

import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from testkit.errors import HarnessError

_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True)
class Topics:
    """Where the records of one run live."""

    bootstrap_servers: str
    events: str
    verdicts: str
    dead_letters: str
    group_id: str
    n_partitions: int
    # Out of every text: it may hold a password.
    properties: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further properties of every client, such as TLS and SASL."""

    @property
    def outputs(self) -> list[str]:
        """What downstream teams read."""
        return [self.verdicts, self.dead_letters]

    @property
    def names(self) -> list[str]:
        """All three."""
        return [self.events, *self.outputs]

    def worker_settings(self) -> dict[str, str]:
        """Return the settings by which a worker finds them."""
        return {
            "MODERATION_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "MODERATION_KAFKA__INPUT_TOPIC": self.events,
            "MODERATION_KAFKA__VERDICT_TOPIC": self.verdicts,
            "MODERATION_KAFKA__DEAD_LETTER_TOPIC": self.dead_letters,
            "MODERATION_KAFKA__GROUP_ID": self.group_id,
        }


@contextmanager
def fresh_topics(
    bootstrap_servers: str, *, prefix: str, n_partitions: int, properties: Mapping[str, str] | None = None
) -> Iterator[Topics]:
    """Create the three topics with the cluster's default replication; delete them when the block ends.

    Args:
        bootstrap_servers: Kafka's addresses.
        prefix: Begins their names, which no other run has.
        n_partitions: Partitions of each topic.
        properties: Further client properties, such as TLS and SASL.

    Raises:
        HarnessError: the brokers do not create them.
    """
    name = f"{prefix}-{uuid.uuid4().hex[:10]}"
    topics = Topics(
        bootstrap_servers,
        f"{name}-events",
        f"{name}-verdicts",
        f"{name}-dlq",
        f"{name}-group",
        n_partitions,
        properties or {},
    )
    with created(topics, [NewTopic(one, num_partitions=n_partitions) for one in topics.names]):
        yield topics


@contextmanager
def created(topics: Topics, new: Sequence[NewTopic]) -> Iterator[None]:
    """Create topics where those of a run are, and wait until they can be used; delete them when the block ends.

    Raises:
        HarnessError: the brokers do not create them.
    """
    # Level 5 leaves out the library's note, on closing, that it drops its own queue.
    admin = _admin({"bootstrap.servers": topics.bootstrap_servers, "log_level": 5, **topics.properties})
    n_partitions = {one.topic: one.num_partitions for one in new}
    try:
        _await(admin.create_topics(list(new)).values())
        _wait_until_led(admin, n_partitions)
    except KafkaException as error:
        raise HarnessError(
            f"Kafka at {topics.bootstrap_servers} did not create {', '.join(n_partitions)} with "
            f"{', '.join(map(str, n_partitions.values()))} partitions: {error.args[0].str()}; check the address and "
            "the right to create topics"
        ) from error
    try:
        yield
    finally:
        for future in admin.delete_topics(list(n_partitions)).values():
            future.exception(_TIMEOUT_S)


def _admin(config: dict[str, Any]) -> AdminClient:
    try:
        return AdminClient(config)
    except KafkaException as error:
        # The client's own text quotes the value, which may be a password.
        raise HarnessError(
            f"the Kafka client refuses one of the properties {', '.join(sorted(config))}; expected names and values of "
            "librdkafka's CONFIGURATION.md; check the properties that were given"
        ) from error


def _await(futures: Iterable[Any]) -> None:
    for future in futures:
        future.result(_TIMEOUT_S)


def _wait_until_led(admin: AdminClient, n_partitions: Mapping[str, int]) -> None:
    """Wait until every partition has a leader: creation answers before that."""
    deadline = time.monotonic() + _TIMEOUT_S
    while time.monotonic() < deadline:
        known = admin.list_topics(timeout=_TIMEOUT_S).topics
        partitions = [p for name in n_partitions if name in known for p in known[name].partitions.values()]
        if len(partitions) == sum(n_partitions.values()) and all(p.leader >= 0 for p in partitions):
            return
        time.sleep(0.05)
    raise HarnessError(
        f"{', '.join(n_partitions)}: not every partition has a leader after {_TIMEOUT_S} s; check the brokers"
    )
