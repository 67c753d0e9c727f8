"""Join reports with the events that they are about: pure.

Invariant: every report ends as a vote or as a reject, and a vote is about the very text that its reporter meant.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from schemas import (
    ChatEvent,
    CodecLimits,
    Feedback,
    RecordRejected,
    Taxonomy,
    ValueFormat,
    Verdict,
    content_fingerprint,
    parse_event_in,
    validate_event,
    visible_turns,
)
from schemas.feedback import accepted
from training_pipeline.data.chat_rows import OnReject, Reject
from training_pipeline.data.extract import SourceRecord, extracted_row
from training_pipeline.feedback.events import Place, RawEvents
from training_pipeline.feedback.reports import Report, ReportReason

SOURCE: Final = "feedback"
"""What rows say of where they come from, as `labelled_chats` counts it."""


class Refused(Exception):  # noqa: N818  the name says what becomes of the report
    """A report teaches nothing."""

    def __init__(self, reason: str, error: str) -> None:
        super().__init__(error)
        self.reason = reason
        self.error = error


class Found(NamedTuple):
    """An event that was read."""

    event: ChatEvent
    fingerprint: str
    place: Place | None
    """None where nobody knows where it lay."""

    @property
    def name(self) -> str:
        """Where it lay, for people."""
        if self.place is None:
            return f"chat {self.event.chat_id}"
        topic, partition, offset = self.place
        return f"{topic}[{partition}]@{offset}"


@dataclass
class ReportedText:
    """A conversation and what was said of it; the same text of several chats is one."""

    found: Found
    """Of the newest report's event."""
    votes: dict[str, Report] = field(default_factory=dict)
    """By reporter, each one's last word."""

    @property
    def annotations(self) -> dict[str, list[str]]:
        """The votes that name a category, as labelled chats carry them: code, confidence, runner-up."""
        return {
            reporter: [report.feedback.category, "3", "-"]
            for reporter, report in sorted(self.votes.items())
            if report.feedback.category is not None
        }

    def row(self, last_messages: int) -> dict[str, Any]:
        """Return the text as `extract` would, with its votes."""
        newest = max(self.votes.values(), key=_time)
        source, found = newest.feedback.source, self.found
        timestamp_ms = source.timestamp_ms if found.place is not None else None
        record = SourceRecord(found.name, source.offset, found.name, None, 0, timestamp_ms)
        row = extracted_row(found.event, record, last_messages)
        return row | {"source": SOURCE, "fingerprint": found.fingerprint, "annotations": self.annotations}


class Join:
    """Joins one report after the other.

    Args:
        raw: The events.
        verdicts: Those that reports without a fingerprint need, by id.
        taxonomy: Whose categories count.
        value_format: What the events' values are.
        topics: Where events may lie; empty: a report's word is taken.
        erased: Says of which chats nothing is kept.
    """

    def __init__(
        self,
        raw: RawEvents,
        *,
        taxonomy: Taxonomy,
        verdicts: Mapping[str, Verdict] | None = None,
        value_format: ValueFormat = ValueFormat.JSON,
        topics: Collection[str] = (),
        erased: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._raw = raw
        self._verdicts = verdicts or {}
        self._taxonomy = taxonomy
        self._value_format = value_format
        self._topics = frozenset(topics)
        self._erased = erased
        self._limits = CodecLimits()
        self._read: dict[Place, Found | Refused] = {}
        self._placeless = {one.fingerprint: one for one in self._placeless_events()}

    def run(self, reports: Sequence[Report], on_reject: OnReject) -> list[ReportedText]:
        """Return the texts that were reported, in the order of their newest reports' events.

        Args:
            reports: In any order; of several of one reporter on one text the last by `reported_at` counts.
            on_reject: Takes the others.
        """
        texts: dict[str, ReportedText] = {}
        for report in sorted(reports, key=_time):
            try:
                completed, found = self._joined(report)
            except Refused as refused:
                on_reject(Reject(position=report.position, reason=refused.reason, error=refused.error))
                continue
            text = texts.setdefault(found.fingerprint, ReportedText(found))
            text.found = found
            earlier = text.votes.get(completed.reporter)
            if earlier is not None:
                error = f"the same reporter said something later about this text, at {report.position}"
                on_reject(Reject(position=earlier.position, reason=ReportReason.SUPERSEDED.value, error=error))
            text.votes[completed.reporter] = report._replace(feedback=completed)
        return sorted(texts.values(), key=lambda text: max(_order(one) for one in text.votes.values()))

    def _joined(self, report: Report) -> tuple[Feedback, Found]:
        feedback = self._completed(report.feedback)
        self._check_category(feedback)
        found = self._event(Report(report.position, feedback))
        if feedback.chat_id not in (None, found.event.chat_id):
            raise Refused(ReportReason.OTHER_TEXT.value, f"{found.name} is of another chat than the report says")
        return feedback, found

    def _completed(self, feedback: Feedback) -> Feedback:
        """Return a report that says which text it means."""
        if feedback.fingerprint is not None:
            return feedback
        known = self._verdicts.get(feedback.verdict_id)
        kept = None if known is None else accepted(feedback, [known])
        if kept is None:
            raise Refused(
                ReportReason.UNKNOWN_VERDICT.value,
                "it has no fingerprint, and no verdict that it is about was found; expected one; name where verdicts "
                "are (--verdict-topic, --verdicts)",
            )
        return kept

    def _check_category(self, feedback: Feedback) -> None:
        of, category = feedback.taxonomy, feedback.category
        if of is not None and of.name != self._taxonomy.name:
            raise Refused(
                ReportReason.OTHER_TAXONOMY.value,
                f"its category is of taxonomy {of}; expected {self._taxonomy.ref}; name that by --taxonomy",
            )
        if category is not None and category not in self._taxonomy.columns:
            codes = ", ".join(self._taxonomy.codes)
            raise Refused(
                ReportReason.UNKNOWN_CATEGORY.value, f"its category is none of {self._taxonomy.ref}; expected {codes}"
            )

    def _event(self, report: Report) -> Found:
        """Return the event at a report's source, where it is of the text that is meant."""
        topic, place = report.feedback.source.topic, report.place
        if self._topics and topic not in self._topics:
            raise Refused(
                ReportReason.OTHER_TOPIC.value,
                f"its source is of topic {topic!r}; expected {', '.join(sorted(self._topics))}; see --events-topic",
            )
        found = self._placeless.get(report.feedback.fingerprint or "")
        if place in self._raw.by_place:
            at_place = self._read.setdefault(place, self._decoded(place))
            if isinstance(at_place, Refused):
                raise at_place
            found = at_place
        if found is None:
            raise Refused(
                ReportReason.EVENT_GONE.value,
                f"nothing lies at {topic}[{place[1]}]@{place[2]}; expected the event; retention may have deleted it: "
                "join more often than the topic keeps events",
            )
        if self._erased(found.event.chat_id) or self._raw.is_erased(found.event.chat_id, found.place):
            raise Refused(ReportReason.ERASED_CHAT.value, f"the chat of {found.name} was erased")
        if found.fingerprint != report.feedback.fingerprint:
            raise Refused(
                ReportReason.OTHER_TEXT.value, f"{found.name} has another text than the verdict that is reported"
            )
        return found

    def _decoded(self, place: Place) -> Found | Refused:
        try:
            return self._found(self._raw.by_place[place], place)
        except RecordRejected as rejection:
            if rejection.erases:
                return Refused(ReportReason.ERASED_CHAT.value, "a tombstone lies at its source")
            return Refused(rejection.reason.value, rejection.error)

    def _placeless_events(self) -> list[Found]:
        try:
            return [self._found(raw, None) for raw in self._raw.placeless]
        except RecordRejected as rejection:
            raise ValueError(f"--events: a line is no chat event: {rejection.error}") from None

    def _found(self, raw: bytes | None, place: Place | None) -> Found:
        event = validate_event(parse_event_in(raw, self._limits, self._value_format))
        visible_turns(event)
        return Found(event, content_fingerprint(event), place)


def _time(report: Report) -> datetime:
    return report.feedback.reported_at


def _order(report: Report) -> tuple[int, int]:
    source = report.feedback.source
    return source.timestamp_ms, source.offset
