"""A partition is fetched or held, and the client is told of each change once."""

from confluent_kafka import TopicPartition

from worker.kafka.fetch_control import FetchControl

A, B = ("chat-events", 0), ("chat-events", 1)


class Client:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int]] = []

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Stop fetching."""
        self.told += [("pause", one.partition) for one in partitions]

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Fetch again."""
        self.told += [("resume", one.partition) for one in partitions]

    def incremental_unassign(self, partitions: list[TopicPartition]) -> None:
        """Give up."""
        self.told += [("unassign", one.partition) for one in partitions]

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Take up."""
        self.told += [("assign", one.offset) for one in partitions]


def test_only_changes_are_told_and_only_of_what_is_assigned() -> None:
    """The client refuses to resume a partition that is somebody else's."""
    client = Client()
    fetching = FetchControl(client)  # type: ignore[arg-type]
    fetching.hold({A, B}, [A, B])
    fetching.hold({A, B}, [A, B])
    fetching.hold(set(), [A])
    assert sorted(client.told) == [("pause", 0), ("pause", 1), ("resume", 0)]


def test_a_partition_that_starts_again_is_not_taken_for_a_paused_one() -> None:
    """What is assigned anew is fetched, whatever was asked for before."""
    client = Client()
    fetching = FetchControl(client)  # type: ignore[arg-type]
    fetching.hold({A}, [A])
    fetching.restart(A, 7)
    fetching.hold({A}, [A])
    assert client.told == [("pause", 0), ("unassign", 0), ("assign", 7), ("pause", 0)]
