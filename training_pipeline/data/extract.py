"""Extract conversations from raw records: the last messages of each chat, and what upstream said about it.

Records come from files or from a topic between two times. Each record becomes one row or one reject; the states of one
chat all stay (preprocess keeps the newest), so the stage never looks back and an interrupted run goes on.

Invariant: a row renders to the same window as its record does in serving, for windows of at most `last_messages`.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from schemas import (
    ChatEvent,
    CodecLimits,
    RecordRejected,
    RejectionReason,
    ValueFormat,
    decode_chat_event,
    parse_event_in,
    validate_event,
    visible_turns,
)
from training_pipeline.data.chat_rows import Reject, messages_of
from training_pipeline.data.foreign_chats import as_chat_event
from training_pipeline.data.kafka_range import KafkaRangeReader, KafkaRequest, OffsetRange
from training_pipeline.data.record_files import read_records
from training_pipeline.data.resumable_output import ResumableOutput, read_checkpoint
from training_pipeline.data.stage_files import StageReport, file_digest, finished_report

STAGE: Final = "extract"

OnProgress = Callable[[int, int], None]
"""Called with how much is done and how much there is (bytes of files, or records of a topic)."""


class SourceRecord(NamedTuple):
    """One raw record, from wherever."""

    place: str
    """File or partition: what `position` counts within."""
    position: int
    name: str
    """Place and position for people."""
    raw: bytes | None
    n_done: int
    timestamp_ms: int | None


class _Reading(NamedTuple):
    """How records become rows."""

    value_format: ValueFormat
    last_messages: int


def _options(last_messages: int, value_format: ValueFormat) -> dict[str, Any]:
    """Return what decides the output; the default is not named, so that what earlier releases finished is finished."""
    named = {} if value_format is ValueFormat.JSON else {"value_format": value_format.value}
    return {"last_messages": last_messages, **named}


def extract_files(
    paths: Sequence[Path],
    out: Path,
    *,
    last_messages: int,
    value_format: ValueFormat = ValueFormat.JSON,
    on_progress: OnProgress | None = None,
) -> StageReport:
    """Extract from files: records.json (a list) or JSON lines.

    Raises:
        DataError: a file cannot be read, or a list in it does not end.
    """
    inputs = {f"{i}:{path.name}": file_digest(path) for i, path in enumerate(paths)}
    options = _options(last_messages, value_format)
    if finished := finished_report(out, STAGE, inputs, options):
        return finished
    source = {"files": inputs, **options}
    n_total = sum(path.stat().st_size for path in paths)
    output = ResumableOutput(out, source, read_checkpoint(out, source))
    reading = _Reading(value_format, last_messages)
    _extract(_file_records(paths, output.cursor), output, reading, n_total, on_progress)
    return output.report(STAGE, inputs, options)


def extract_topic(
    reader: KafkaRangeReader,
    request: KafkaRequest,
    out: Path,
    *,
    last_messages: int,
    value_format: ValueFormat = ValueFormat.JSON,
    on_progress: OnProgress | None = None,
) -> StageReport:
    """Extract from a topic between two times.

    Where an interrupted run left a checkpoint of the same request, its offset range is kept, so that the end of the
    topic does not move between the two.

    Where the range begins at the oldest record that retention has left, the report's details say how many offsets were
    deleted before it (`n_deleted_offsets`, per partition).

    Raises:
        DataError: the broker does not answer, or records of the range are gone since it was fixed.
    """
    options = _options(last_messages, value_format) | request.model_dump()
    checkpoint = read_checkpoint(out, options)
    ranges = reader.fix_range(request)
    if checkpoint is not None:
        ranges = _saved_ranges(checkpoint.cursor)
    output = ResumableOutput(out, options, checkpoint)
    if checkpoint is None:
        output.cursor.update(_range_marks(ranges))
        output.save()
    n_total = sum(max(0, place.end - place.start) for place in ranges.values())
    reading = _Reading(value_format, last_messages)
    _extract(_topic_records(reader, request, ranges, output.cursor), output, reading, n_total, on_progress)
    inputs = {f"{request.topic}[{p}]": f"{place.start}..{place.end}" for p, place in sorted(ranges.items())}
    n_deleted = {str(p): place.n_deleted for p, place in sorted(ranges.items()) if place.n_deleted}
    return output.report(STAGE, inputs, options, {"n_deleted_offsets": n_deleted} if n_deleted else {})


def _range_marks(ranges: dict[int, OffsetRange]) -> dict[str, int]:
    marks: dict[str, int] = {}
    for p, place in ranges.items():
        marks |= {f"start:{p}": place.start, f"end:{p}": place.end, f"deleted:{p}": place.n_deleted}
    return marks


def _saved_ranges(cursor: dict[str, int]) -> dict[int, OffsetRange]:
    partitions = [int(name.removeprefix("end:")) for name in cursor if name.startswith("end:")]
    return {
        p: OffsetRange(start=cursor[f"start:{p}"], end=cursor[f"end:{p}"], n_deleted=cursor.get(f"deleted:{p}", 0))
        for p in partitions
    }


def _file_records(paths: Sequence[Path], cursor: dict[str, int]) -> Iterator[SourceRecord]:
    bytes_before = 0
    for i, path in enumerate(paths):
        place = f"{i}:{path.name}"
        n_known = cursor.get(place, 0)
        for record in read_records(path):
            if record.number > n_known:
                name = f"{path.name}#{record.number}"
                yield SourceRecord(place, record.number, name, record.raw, bytes_before + record.end_bytes, None)
        bytes_before += path.stat().st_size


def _topic_records(
    reader: KafkaRangeReader, request: KafkaRequest, ranges: dict[int, OffsetRange], cursor: dict[str, int]
) -> Iterator[SourceRecord]:
    following = {p: cursor[str(p)] + 1 for p in ranges if str(p) in cursor}
    read = {p: following.get(p, place.start) - place.start for p, place in ranges.items()}
    for record in reader.read(request, ranges, following):
        read[record.partition] = record.offset + 1 - ranges[record.partition].start
        name = f"{request.topic}[{record.partition}]@{record.offset}"
        yield SourceRecord(
            str(record.partition), record.offset, name, record.raw, sum(read.values()), record.timestamp_ms
        )


def _extract(
    records: Iterator[SourceRecord],
    output: ResumableOutput,
    reading: _Reading,
    n_total: int,
    on_progress: OnProgress | None,
) -> None:
    limits = CodecLimits()
    try:
        for record in records:
            try:
                event = _event(record.raw, limits, reading.value_format)
                output.write(extracted_row(event, record, reading.last_messages))
            except RecordRejected as rejection:
                reason = rejection.reason.value
                output.reject(Reject(position=record.name, reason=reason, error=rejection.error))
            output.done(record.place, record.position)
            if on_progress is not None:
                on_progress(record.n_done, n_total)
        output.finish()
    finally:
        output.close()


def _event(raw: bytes | None, limits: CodecLimits, value_format: ValueFormat) -> ChatEvent:
    """Decode a record as serving does; where serving refuses it, as a chat of another program's form."""
    try:
        event = validate_event(parse_event_in(raw, limits, value_format))
        visible_turns(event)
        return event  # noqa: TRY300  (what is below decodes again)
    except RecordRejected as rejection:
        if raw is None or rejection.reason is not RejectionReason.SCHEMA_ERROR:
            raise
        converted = as_chat_event(raw)
        if converted is None:
            raise
    return decode_chat_event(converted, limits)


def extracted_row(event: ChatEvent, record: SourceRecord, last_messages: int) -> dict[str, Any]:
    """Return an event as the stages after this one read it, with its last messages and where it lay."""
    row: dict[str, Any] = {"chat_id": event.chat_id, "messages": messages_of(event, last=last_messages)}
    row["n_messages_total"] = len(event.messages)
    row["extracted_from"] = record.name
    if record.timestamp_ms is not None:
        row["timestamp_ms"] = record.timestamp_ms
    for name in ("event_id", "occurred_at"):
        if (value := getattr(event, name)) is not None:
            row[name] = value
    return row
