"""The control topic of the replays: what each replay id stands for."""

from typing import Any

import orjson
import structlog
from pydantic import ValidationError

from worker.errors import Fatal
from worker.kafka.committed import Committed
from worker.kafka.control_topic import Codec, ControlTopic
from worker.kafka.partition_range import Partition
from worker.kafka.topic_scan import ScannedRecord
from worker.replay.plan.replay_plan import PLAN_FORMAT_VERSION, StoredReplay
from worker.replay.report.tally import Tally
from worker.settings.kafka import KafkaSettings

log = structlog.get_logger()

PlanStore = ControlTopic[StoredReplay]
"""By replay id, the plans of all replays."""


def open_plan_store(settings: KafkaSettings, *, transactional_id: str) -> PlanStore:
    """Return the store.

    Args:
        settings: Kafka settings of the replay: its group is the one whose start offsets are committed.
        transactional_id: Shared by all who write plans.
    """
    codec = Codec(_decode, lambda stored: stored.model_dump_json().encode(), _starts)
    return ControlTopic(settings, settings.replay_topic, codec, transactional_id=transactional_id)


def _decode(record: ScannedRecord) -> StoredReplay | None:
    """Return what a record holds; None where a later release wrote it.

    Raises:
        Fatal: it is no plan.
    """
    if (version := _later_version(record.value)) is not None:
        log.warning(
            "replay_plan_skipped",
            replay_id=(record.key or b"").decode("utf-8", "replace"),
            format_version=version,
            known_format_version=PLAN_FORMAT_VERSION,
            remedy="use the release that wrote it; a redrive does not know which letters that one took",
        )
        return None
    try:
        return StoredReplay.model_validate_json(record.value or b"")
    except ValidationError as error:
        replay_id = (record.key or b"").decode("utf-8", "replace")
        raise Fatal(
            f"{record.topic}[{record.partition}]@{record.offset}: not the plan of a replay of this version "
            f"({error.error_count()} problems); expected what `worker replay` writes; delete it with a tombstone for "
            f"key {replay_id!r}"
        ) from error


def _later_version(raw: bytes | None) -> int | None:
    """Return the format version of a record where it is later than ours."""
    try:
        version: Any = orjson.loads(raw or b"")["format_version"]
    except (orjson.JSONDecodeError, LookupError, TypeError):
        return None
    return version if isinstance(version, int) and version > PLAN_FORMAT_VERSION else None


def _starts(stored: StoredReplay) -> dict[Partition, Committed]:
    note = Tally().to_note()
    return {one.place: Committed(one.start, note) for one in stored.plan.ranges}
