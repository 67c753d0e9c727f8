"""Create topics through a real client and wait until they can be used."""

import time
from collections.abc import Mapping

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from deploy.local.errors import ServiceStartError

_TIMEOUT_S = 30.0
_POLL_S = 0.02


def admin_client(servers: str) -> AdminClient:
    """Return a client that retries quickly and keeps refused connections to itself."""
    return AdminClient(
        {
            "bootstrap.servers": servers,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 200,
            "log_level": 0,
        }
    )


def create_topics(admin: AdminClient, topics: Mapping[str, int], *, copies: int, settings: Mapping[str, str]) -> None:
    """Create the topics that are missing and wait until every partition of all has a leader.

    Args:
        admin: Client of the cluster.
        topics: Name to number of partitions.
        copies: Replication factor.
        settings: Topic settings, the same for all.

    Raises:
        ServiceStartError: A topic was refused, or has no leader in time.
    """
    present = _leaders(admin)
    missing = [
        NewTopic(name, num_partitions=count, replication_factor=copies, config=dict(settings))
        for name, count in topics.items()
        if name not in present
    ]
    created = admin.create_topics(missing, operation_timeout=_TIMEOUT_S) if missing else {}
    for name, future in created.items():
        try:
            future.result(timeout=_TIMEOUT_S)
        except KafkaException as error:
            raise ServiceStartError(
                f"topic {name} was not created: {error}; expected a legal name and settings the "
                f"broker knows; asked for {copies} copies and {dict(settings)}"
            ) from error
    _wait_for_leaders(admin, topics)


def _leaders(admin: AdminClient) -> dict[str, list[int]]:
    """Ask the cluster for its topics: name to the leader of each partition, -1 for none.

    Raises:
        ServiceStartError: No broker answered.
    """
    try:
        topics = admin.list_topics(timeout=_TIMEOUT_S).topics
    except KafkaException as error:
        raise ServiceStartError(
            f"no broker answered when asked for its topics: {error}; expected one within "
            f"{_TIMEOUT_S:.0f} s; resume or start a broker"
        ) from error
    return {name: [p.leader for p in topic.partitions.values()] for name, topic in topics.items()}


def _wait_for_leaders(admin: AdminClient, topics: Mapping[str, int]) -> None:
    """Wait until each named topic is known with a leader for every partition."""
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        leaders = _leaders(admin)
        waiting = [name for name in topics if min(leaders.get(name) or [-1]) < 0]
        if not waiting:
            return
        if time.monotonic() > deadline:
            raise ServiceStartError(
                f"topics {', '.join(waiting)} have partitions without a leader after "
                f"{_TIMEOUT_S:.0f} s; expected enough running brokers; start those that are stopped"
            )
        time.sleep(_POLL_S)
