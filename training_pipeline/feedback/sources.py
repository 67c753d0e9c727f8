"""Where reports, events, verdicts and erasures are read from: topics of one Kafka, or files."""

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from schemas import Taxonomy, ValueFormat, Verdict
from schemas.erasure import ErasedChats, decode_erasure
from training_pipeline.data.chat_rows import Reject
from training_pipeline.data.errors import DataError
from training_pipeline.data.kafka_range import KafkaRangeReader, KafkaRequest
from training_pipeline.data.stage_files import digests
from training_pipeline.feedback.events import Place, RawEvents, events_in_file, events_on_topic
from training_pipeline.feedback.join import Join
from training_pipeline.feedback.reports import (
    Report,
    reports_in_file,
    reports_on_topic,
    verdicts_in_file,
    verdicts_on_topic,
    without_fingerprint,
)
from training_pipeline.feedback.stage import Joined

_LATE_MS: Final = 3_600_000
"""How much earlier than its event a verdict may be stamped: clocks differ."""


@dataclass(frozen=True)
class FeedbackSources:
    """What is read. Of each kind a file or a topic; verdicts and erasures only where there are any."""

    reports_file: Path | None = None
    reports_topic: str | None = None
    since_ms: int = 0
    until_ms: int | None = None
    """Which reports of the topic."""
    events_file: Path | None = None
    events_topics: Sequence[str] = ()
    """Events of other topics are not read, whatever a report says."""
    verdicts_file: Path | None = None
    verdicts_topic: str | None = None
    erasures_file: Path | None = None
    erasures_topic: str | None = None
    erasure_key_file: Path | None = None
    value_format: ValueFormat = ValueFormat.JSON
    client: dict[str, Any] = field(default_factory=dict, repr=False)
    """librdkafka properties."""


def joined(sources: FeedbackSources, taxonomy: Taxonomy) -> Joined:
    """Read everything and join it.

    Raises:
        DataError: a file or a topic cannot be read, or erasures are named without their key.
    """
    rejects: list[Reject] = []
    with ExitStack() as stack:
        reader = _Lazy(sources.client, stack)
        reports = _reports(sources, reader, rejects)
        n_reports = len(reports) + len(rejects)
        join = Join(
            _events(sources, reader, [report.place for report in reports]),
            taxonomy=taxonomy,
            verdicts=_verdicts(sources, reader, reports),
            value_format=sources.value_format,
            topics=sources.events_topics,
            erased=_erased(sources, reader).__contains__,
        )
        texts = join.run(reports, rejects.append)
    return Joined(texts, rejects, _inputs(sources), n_reports)


class _Lazy:
    """One reader for all topics, opened where one is read."""

    def __init__(self, client: dict[str, Any], stack: ExitStack) -> None:
        self._client = client
        self._stack = stack
        self._reader: KafkaRangeReader | None = None

    def __call__(self) -> KafkaRangeReader:
        if self._reader is None:
            self._reader = self._stack.enter_context(KafkaRangeReader(self._client))
        return self._reader


def _reports(sources: FeedbackSources, reader: Callable[[], KafkaRangeReader], rejects: list[Reject]) -> list[Report]:
    if sources.reports_file is not None:
        return reports_in_file(sources.reports_file, rejects.append)
    request = KafkaRequest(topic=str(sources.reports_topic), since_ms=sources.since_ms, until_ms=sources.until_ms)
    return reports_on_topic(reader(), request, rejects.append)


def _events(sources: FeedbackSources, reader: Callable[[], KafkaRangeReader], places: Iterable[Place]) -> RawEvents:
    if sources.events_file is not None:
        return events_in_file(sources.events_file)
    # A report may name any topic; only those of events are read.
    return events_on_topic(reader(), (place for place in places if place[0] in sources.events_topics))


def _verdicts(
    sources: FeedbackSources, reader: Callable[[], KafkaRangeReader], reports: Collection[Report]
) -> dict[str, Verdict]:
    if not (wanted := without_fingerprint(reports)):
        return {}
    if sources.verdicts_file is not None:
        return verdicts_in_file(sources.verdicts_file, wanted)
    if sources.verdicts_topic is None:
        return {}
    times = [report.feedback.source.timestamp_ms for report in reports if report.feedback.verdict_id in wanted]
    request = KafkaRequest(topic=sources.verdicts_topic, since_ms=max(0, min(times) - _LATE_MS), until_ms=None)
    return verdicts_on_topic(reader(), request, wanted)


def _erased(sources: FeedbackSources, reader: Callable[[], KafkaRangeReader]) -> ErasedChats | frozenset[str]:
    if sources.erasures_file is None and sources.erasures_topic is None:
        return frozenset()
    if sources.erasure_key_file is None:
        raise DataError("erasures are named without --erasure-key-file; expected the key by which they name chats")
    try:
        keys = [line.strip().encode() for line in sources.erasure_key_file.read_text("utf-8").splitlines()]
        if sources.erasures_file is not None:
            values: Iterable[bytes | None] = sources.erasures_file.read_bytes().splitlines()
        else:
            request = KafkaRequest(topic=str(sources.erasures_topic), since_ms=0, until_ms=None)
            ranges = reader().fix_range(request)
            values = [record.raw for record in reader().read(request, ranges, {})]
        hashes = [decode_erasure(value).chat_hash for value in values if value]
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read ({error.strerror}); expected keys, or erasures") from error
    except ValidationError:
        raise DataError("erasures: a record is none of this version; expected the topic of `worker erase`") from None
    if not any(keys):
        raise DataError(f"{sources.erasure_key_file}: holds no key; expected that of MODERATION_ERASURE__HASH_KEY")
    return ErasedChats([key for key in keys if key], hashes)


def _inputs(sources: FeedbackSources) -> dict[str, str]:
    files = [sources.reports_file, sources.events_file, sources.verdicts_file, sources.erasures_file]
    named = digests([path for path in files if path is not None])
    topics = {
        "reports": sources.reports_topic if sources.reports_file is None else None,
        "events": ", ".join(sources.events_topics) if sources.events_file is None else None,
        "verdicts": sources.verdicts_topic,
        "erasures": sources.erasures_topic,
    }
    return named | {f"topic of {what}": topic for what, topic in topics.items() if topic}
