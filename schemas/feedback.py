"""Feedback: what somebody reports as wrong about a verdict, and when such a report counts.

A report holds no chat text, but for what its reporter writes into `note`. It names the event by `source`, in whose
topic the text is. Whoever takes reports checks them against a verdict that is known (`accepted`); what matches none is
counted and dropped, and its sender is not told.

Invariant: no error text quotes a report.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Protocol, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from schemas.taxonomy import CategoryCode, TaxonomyRef
from schemas.verdict import Decision, Source, Verdict, wire_time

FEEDBACK_SCHEMA_VERSION: Final = 1
MAX_NOTE_CHARACTERS: Final = 1_000
MAX_REPORTER_CHARACTERS: Final = 128
MAX_REPORT_BYTES: Final = 20_000
"""A report with the longest of everything has fewer, each character written as an escape."""

_DIGEST: Final = r"^[0-9a-f]{32}$"
_MOST_PROBLEMS: Final = 3


class FeedbackRefused(ValueError):  # noqa: N818  the name says what becomes of it
    """A report that is none: found, expected, what to do. Quotes nothing of it."""


class Feedback(BaseModel):
    """One report: this verdict should have been another one.

    `category` and `decision` say what would have been right; at least one of them is there.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    schema_version: int = Field(default=FEEDBACK_SCHEMA_VERSION, ge=FEEDBACK_SCHEMA_VERSION, le=FEEDBACK_SCHEMA_VERSION)
    verdict_id: str = Field(pattern=_DIGEST, description="Of the verdict that is reported.")
    source: Source = Field(description="The verdict's: the event, in whose topic the text is.")
    chat_id: str | None = Field(
        default=None, min_length=1, max_length=256, description="Not needed; where it is there it must be the event's."
    )
    fingerprint: str | None = Field(
        default=None,
        pattern=_DIGEST,
        description="The verdict's content_fingerprint. Without it, whoever joins needs the verdict itself.",
    )
    taxonomy: TaxonomyRef | None = Field(default=None, description="Of `category`; null: the reader's own.")
    category: CategoryCode | None = Field(default=None, description="The category that is right.")
    decision: Decision | None = Field(default=None, description="The decision that is right.")
    reporter: str = Field(
        min_length=1,
        max_length=MAX_REPORTER_CHARACTERS,
        description="Who says so: an id that stays the same, no name or address. One reporter has one vote on a text.",
    )
    note: str | None = Field(default=None, max_length=MAX_NOTE_CHARACTERS, description="Free text; never logged.")
    reported_at: Annotated[AwareDatetime, PlainSerializer(wire_time, when_used="json")]

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.category is None and self.decision is None:
            raise ValueError("neither category nor decision; expected one of them or both, as it would have been right")
        return self


def decode_feedback(raw: bytes | None) -> Feedback:
    """Decode a report.

    Raises:
        FeedbackRefused: the bytes are none.
    """
    if raw is None or len(raw) > MAX_REPORT_BYTES:
        found = "no value" if raw is None else f"{len(raw)} bytes"
        raise FeedbackRefused(f"found {found}; expected a report of at most {MAX_REPORT_BYTES} bytes")
    try:
        return Feedback.model_validate_json(raw)
    except ValidationError as error:
        raise FeedbackRefused(_problems(error)) from None


def encode_feedback(feedback: Feedback) -> bytes:
    """Encode a report as UTF-8 JSON."""
    return feedback.model_dump_json(exclude_none=True).encode()


def feedback_on(
    verdict: Verdict,
    *,
    reporter: str,
    reported_at: datetime,
    category: str | None = None,
    decision: Decision | None = None,
    note: str | None = None,
) -> Feedback:
    """Return the report of somebody who holds the verdict.

    Args:
        verdict: What is reported.
        reporter: Who says so.
        reported_at: When.
        category: Code of the category that is right, of the verdict's taxonomy.
        decision: The decision that is right.
        note: Free text.

    Raises:
        FeedbackRefused: the category is not of the verdict's taxonomy, or a value does not fit.
    """
    values: dict[str, Any] = {
        "verdict_id": verdict.verdict_id,
        "source": verdict.source,
        "fingerprint": verdict.content_fingerprint,
        "taxonomy": verdict.taxonomy,
        "category": category,
        "decision": decision,
        "reporter": reporter,
        "note": note,
        "reported_at": reported_at,
    }
    try:
        feedback = Feedback.model_validate(values)
    except ValidationError as error:
        raise FeedbackRefused(_problems(error)) from None
    if not _is_of(verdict, category):
        codes = ", ".join(verdict.probabilities)
        raise FeedbackRefused(f"category is none of taxonomy {verdict.taxonomy}; expected one of {codes}")
    return feedback


class KnownVerdict(Protocol):
    """What must be known of a verdict for a report on it to be checked; a verdict itself is one."""

    @property
    def verdict_id(self) -> str:
        """Its id."""

    @property
    def chat_id(self) -> str:
        """The chat."""

    @property
    def content_fingerprint(self) -> str:
        """Of what the chat said."""

    @property
    def source(self) -> Source:
        """The event."""

    @property
    def taxonomy(self) -> TaxonomyRef:
        """Whose categories it names."""

    @property
    def probabilities(self) -> Mapping[str, float]:
        """By category; only their codes are looked at."""


def answers(feedback: Feedback, verdict: KnownVerdict) -> bool:
    """Say whether a report is about this verdict: the same verdict_id, or the same text.

    What else the report says of the verdict must not contradict it.
    """
    if feedback.chat_id not in (None, verdict.chat_id):
        return False
    if feedback.fingerprint is None:
        return feedback.verdict_id == verdict.verdict_id
    return feedback.fingerprint == verdict.content_fingerprint


def accepted(feedback: Feedback, known: Iterable[KnownVerdict]) -> Feedback | None:
    """Return a report as it is kept, completed from the verdict that it is about; None where it is to be dropped.

    Args:
        feedback: As it came.
        known: Verdicts that may be meant.

    Returns:
        None where it matches none of them, or names a category that the verdict's taxonomy does not have. Who asks
        counts it, and tells the sender nothing: a refusal would say which verdicts exist.
    """
    for verdict in known:
        if answers(feedback, verdict) and _is_of(verdict, feedback.category):
            found = {
                "verdict_id": verdict.verdict_id,
                "source": verdict.source,
                "chat_id": None,
                "fingerprint": verdict.content_fingerprint,
                "taxonomy": verdict.taxonomy,
            }
            return feedback.model_copy(update=found)
    return None


def _is_of(verdict: KnownVerdict, category: str | None) -> bool:
    return category is None or category in verdict.probabilities


def _problems(error: ValidationError) -> str:
    """Return what is wrong, by field, without what was found there."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    told = [
        f"{'.'.join(map(str, fault['loc'])) or 'the report'}: {fault['msg'].removeprefix('Value error, ')}"
        for fault in faults[:_MOST_PROBLEMS]
    ]
    return f"not a report: {'; '.join(told)}; expected what feedback.v1.schema.json says"
