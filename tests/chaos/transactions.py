"""What is open in the topics of a test."""

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from testkit.topics import Topics
from testkit.waiting import wait_until


def open_places(topics: Topics) -> dict[tuple[str, int], int]:
    """Return by output partition how many records an open transaction keeps from readers of committed records."""
    admin = AdminClient({"bootstrap.servers": topics.bootstrap_servers})
    places = [(topic, partition) for topic in topics.outputs for partition in range(topics.n_partitions)]
    latest = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    ends: dict[IsolationLevel, dict[tuple[str, int], int]] = {}
    for isolation in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED):
        asked = admin.list_offsets({TopicPartition(*place): latest for place in places}, isolation_level=isolation)
        ends[isolation] = {(one.topic, one.partition): future.result(20).offset for one, future in asked.items()}
    stable, written = ends[IsolationLevel.READ_COMMITTED], ends[IsolationLevel.READ_UNCOMMITTED]
    return {place: written[place] - stable[place] for place in places if written[place] > stable[place]}


def wait_until_something_is_open(topics: Topics) -> None:
    """Wait until records lie in an open transaction."""
    wait_until(lambda: bool(open_places(topics)), timeout_s=30, what=lambda: "nothing lies in an open transaction")


def wait_until_the_broker_has_aborted(topics: Topics) -> None:
    """Wait until no transaction is open: the broker has ended what its time-out ran out for."""
    wait_until(lambda: not open_places(topics), timeout_s=30, what=lambda: f"open: {open_places(topics)}", every_s=0.2)
