"""The record of a report that a verdict is wrong."""

from console.pipeline.writer import RecordRefused
from schemas import Feedback, encode_feedback
from worker.kafka.written_together import KeyedRecord
from worker.settings.worker import WorkerSettings


def record_of_feedback(settings: WorkerSettings, report: Feedback) -> KeyedRecord:
    """Return the record of a report, keyed by its verdict.

    Raises:
        RecordRefused: no topic of reports is set.
    """
    if (topic := settings.kafka.feedback_topic) is None:
        raise RecordRefused("MODERATION_KAFKA__FEEDBACK_TOPIC is not set; expected the topic of reports; set it")
    return KeyedRecord(topic, report.verdict_id.encode(), encode_feedback(report))
