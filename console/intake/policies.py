"""Which categories count under each policy, as the policies topic tells: a review does not say it itself."""

import structlog
from pydantic import ValidationError

from schemas import Review
from schemas.policy_table import decode_policy_row
from worker.errors import Fatal
from worker.kafka.topic_follower import TopicFollower, open_follower
from worker.kafka.topic_scan import ScannedRecord
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

_NAME = "console"


class PolicyCodes:
    """Follows the topic, which is small and compacted. Used by one thread.

    Args:
        follower: Reads it; None where there is no such topic, and nothing is known.
    """

    def __init__(self, follower: TopicFollower | None) -> None:
        self._follower = follower
        self._codes: dict[tuple[str, str, str], frozenset[str]] = {}

    def read(self) -> None:
        """Read what stands there now. Without it reviews still come, ordered by their age alone."""
        if self._follower is None:
            return
        try:
            for records in self._follower.read_whole():
                self._take(records)
        except Fatal as error:
            log.warning("policies_not_read", error=str(error))
            self.close()

    def refresh(self) -> None:
        """Take what has come since; does not wait."""
        if self._follower is not None:
            self._take(self._follower.poll(0))

    def of(self, review: Review) -> frozenset[str] | None:
        """Return what counts against `allow` under the first policy that asks; None where that is not known."""
        first = review.policies[0]
        return self._codes.get((review.model.digest, first.name, first.version))

    def close(self) -> None:
        """Release the connection."""
        if self._follower is not None:
            self._follower.close()
            self._follower = None

    def _take(self, records: list[ScannedRecord]) -> None:
        for record in records:
            if record.value is None:
                continue
            try:
                row = decode_policy_row(record.value)
            except ValidationError:
                # Of a later release, say; its policy's reviews are ordered by age.
                log.warning("policy_row_unknown", partition=record.partition, offset=record.offset)
                continue
            self._codes[row.model.digest, row.policy.name, row.policy.version] = row.counted


def open_policy_codes(settings: KafkaSettings) -> PolicyCodes:
    """Return what follows the policies topic of the settings; nothing is read yet."""
    topic = settings.policies_topic
    return PolicyCodes(None if topic is None else open_follower(settings, topic, _NAME))
