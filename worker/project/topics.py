"""What the output topics hold: offsets of a time span, and from when on the dead letters are complete."""

from worker.errors import Fatal
from worker.kafka.client import KafkaAdmin
from worker.kafka.errors import fatal_while
from worker.kafka.partition_range import PartitionRange
from worker.kafka.ranges import Since, fix_ranges, missing_topics
from worker.kafka.retention import kept_records, retention_ms
from worker.project.dead_letter_floor import complete_from_ms
from worker.settings.kafka import KafkaSettings


class OutputTopicsReader:
    """Asks the brokers about the verdict and the dead-letter topic.

    Args:
        admin: Admin client.
        settings: Names of the topics.
    """

    def __init__(self, admin: KafkaAdmin, settings: KafkaSettings) -> None:
        self._admin = admin
        self._settings = settings
        self._timeout_s = settings.request_timeout_s

    def ranges(self, since_ms: int) -> tuple[PartitionRange, ...]:
        """Return the committed offsets from a time on, up to where the partitions end now.

        Raises:
            Fatal: the brokers do not answer, or a topic is missing.
        """
        topics = (self._settings.dead_letter_topic, self._settings.verdict_topic)
        with fatal_while(f"fixing the offsets of {', '.join(topics)}"):
            if missing := missing_topics(self._admin, topics, timeout_s=self._timeout_s):
                raise Fatal(
                    f"Kafka lacks the topics {', '.join(missing)}; expected verdicts and dead letters in {topics}; "
                    "check the topic settings and the rights on them"
                )
            return fix_ranges(self._admin, Since(topics, since_ms), {}, timeout_s=self._timeout_s)

    def dead_letters_complete_from_ms(self, now_ms: int) -> int:
        """Return the time from which on every dead letter is still there, ms since the epoch.

        Raises:
            Fatal: the brokers do not answer.
        """
        topic = self._settings.dead_letter_topic
        with fatal_while(f"asking what {topic} holds"):
            return complete_from_ms(
                kept_records(self._admin, topic, timeout_s=self._timeout_s),
                retention_ms=retention_ms(self._admin, topic, timeout_s=self._timeout_s),
                now_ms=now_ms,
            )
