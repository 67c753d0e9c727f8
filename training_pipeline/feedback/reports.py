"""Read reports, from a file or a topic, and the verdicts that some of them need.

Invariant: every record that was read is a report or a reject; no reject quotes one.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import orjson
from pydantic import ValidationError

from schemas import Feedback, FeedbackRefused, Verdict, decode_feedback, decode_verdict
from training_pipeline.data.chat_rows import OnReject, Reject
from training_pipeline.data.errors import DataError
from training_pipeline.data.kafka_range import KafkaRangeReader, KafkaRequest


class ReportReason(StrEnum):
    """Why a report teaches nothing; the codec's own reasons (`schemas.RejectionReason`) are of its event."""

    MALFORMED = "malformed_report"
    UNKNOWN_VERDICT = "unknown_verdict"
    """It has no fingerprint, and no verdict of its verdict_id was found."""
    OTHER_TOPIC = "other_topic"
    """Its source names another topic than that of the events."""
    EVENT_GONE = "event_gone"
    """Nothing lies at its source any more: retention or compaction took it, or nothing ever did."""
    ERASED_CHAT = "erased_chat"
    OTHER_TEXT = "other_text"
    """The event at its source has another text, or is of another chat."""
    OTHER_TAXONOMY = "other_taxonomy"
    UNKNOWN_CATEGORY = "unknown_category"
    SUPERSEDED = "superseded"
    """The same reporter said something later about the same text."""


class Report(NamedTuple):
    """One report and where it lay."""

    position: str
    feedback: Feedback

    @property
    def place(self) -> tuple[str, int, int]:
        """Topic, partition and offset of its event."""
        source = self.feedback.source
        return source.topic, source.partition, source.offset


def reports_in_file(path: Path, on_reject: OnReject) -> list[Report]:
    """Return the reports of a file of JSON lines, as they lie on the topic."""
    return list(_decoded(_lines(path), on_reject))


def reports_on_topic(reader: KafkaRangeReader, request: KafkaRequest, on_reject: OnReject) -> list[Report]:
    """Return the reports of a topic between two times.

    Raises:
        DataError: the broker does not answer, or there is no such topic.
    """
    return list(_decoded(records_of(reader, request), on_reject))


def records_of(reader: KafkaRangeReader, request: KafkaRequest) -> Iterator[tuple[str, bytes | None]]:
    """Yield the values of a topic between two times, each with its place."""
    for record in reader.read(request, reader.fix_range(request), {}):
        yield f"{request.topic}[{record.partition}]@{record.offset}", record.raw


def _lines(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{path.name}:{number}", line
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected JSON lines") from error


def _decoded(records: Iterable[tuple[str, bytes | None]], on_reject: OnReject) -> Iterator[Report]:
    for position, raw in records:
        try:
            yield Report(position, decode_feedback(raw))
        except FeedbackRefused as refused:
            on_reject(Reject(position=position, reason=ReportReason.MALFORMED.value, error=str(refused)))


def without_fingerprint(reports: Iterable[Report]) -> set[str]:
    """Return the ids of the verdicts that must be found: only they say which text is meant."""
    return {report.feedback.verdict_id for report in reports if report.feedback.fingerprint is None}


VerdictsById = Callable[[Collection[str]], dict[str, Verdict]]
"""Returns the verdicts of these ids, as far as they are found."""


def verdicts_in_file(path: Path, wanted: Collection[str]) -> dict[str, Verdict]:
    """Return the verdicts of these ids in a file of JSON lines, as they lie on their topic."""
    return _wanted(_lines(path), wanted)


def verdicts_on_topic(reader: KafkaRangeReader, request: KafkaRequest, wanted: Collection[str]) -> dict[str, Verdict]:
    """Return the verdicts of these ids on a topic.

    Raises:
        DataError: the broker does not answer, or there is no such topic.
    """
    return _wanted(records_of(reader, request), wanted)


def _wanted(records: Iterable[tuple[str, bytes | None]], wanted: Collection[str]) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for position, raw in records:
        try:
            document = orjson.loads(raw or b"null")
            if isinstance(document, dict) and document.get("verdict_id") in wanted:
                found[document["verdict_id"]] = decode_verdict(raw or b"")
        except (orjson.JSONDecodeError, ValidationError):
            raise DataError(f"{position}: no verdict; expected the topic of verdicts, or lines of it") from None
    return found
