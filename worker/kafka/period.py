"""Which offsets of a topic were written between two times."""

from worker.errors import TopicMissing
from worker.kafka.client import open_admin_client
from worker.kafka.errors import fatal_while
from worker.kafka.partition_range import PartitionRange
from worker.kafka.ranges import Since, fix_ranges, missing_topics
from worker.settings.kafka import KafkaSettings


def ranges_between(
    settings: KafkaSettings, topic: str, since_ms: int | None, until_ms: int | None, *, missing: str
) -> tuple[PartitionRange, ...]:
    """Return the committed offsets of a topic between two times, as they lie there now.

    Args:
        settings: Where Kafka is.
        topic: What is read.
        since_ms: First record's timestamp; None: from the beginning.
        until_ms: Timestamp to stop before; None: now.
        missing: Goes on after "Kafka lacks the topic …", where it does.

    Raises:
        TopicMissing: there is no such topic.
        Fatal: the brokers do not answer.
    """
    admin, timeout_s = open_admin_client(settings), settings.request_timeout_s
    with fatal_while(f"fixing the range of {topic}"):
        if missing_topics(admin, [topic], timeout_s=timeout_s):
            raise TopicMissing(f"Kafka lacks the topic {topic}{missing}")
        return fix_ranges(admin, Since((topic,), since_ms, until_ms), {}, timeout_s=timeout_s)
