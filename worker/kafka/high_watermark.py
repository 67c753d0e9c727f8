"""Where a partition ends now, asked of its leader."""

from typing import Any, Final

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

_LARGEST_PARTITION: Final = 2**31 - 1

_NO_SUCH_PARTITION: Final = (KafkaError._UNKNOWN_PARTITION, KafkaError.UNKNOWN_TOPIC_OR_PART)  # noqa: SLF001  the library's


def high_watermark(admin: AdminClient, topic: str, partition: int, *, timeout_s: float = 2.0) -> int | None:
    """Return the offset after the last record, 0 where there is no such partition, None where no broker answers.

    Asked over the admin client. What the consumer remembers lags behind, and a worker that the group has dropped meets
    verdicts on records that came since. A question of the consumer's would wait behind its fetch, and beside a poll in
    another thread it never returns.
    """
    if not 0 <= partition <= _LARGEST_PARTITION:
        return 0
    place = TopicPartition(topic, partition)
    latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
    try:
        asked = admin.list_offsets(
            {place: latest}, isolation_level=IsolationLevel.READ_UNCOMMITTED, request_timeout=timeout_s
        )
        return int(asked[place].result().offset)
    except KafkaException as error:
        cause = error.args[0]
        return 0 if isinstance(cause, KafkaError) and cause.code() in _NO_SUCH_PARTITION else None
