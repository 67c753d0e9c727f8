"""Check a report against the verdicts that are known, and put what counts into the outbox.

A report that matches none is counted and dropped, and its sender is not told: a refusal would say which verdicts exist.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from pydantic import Field, ValidationError, model_validator

from console.metrics import Metrics
from console.port.documents import Request
from console.store.outbox_rows import FeedbackBody, Kind, put
from console.store.store import Store, now_ms
from schemas import Decision, Feedback
from schemas.feedback import MAX_NOTE_CHARACTERS, MAX_REPORTER_CHARACTERS, KnownVerdict, accepted

_DIGEST: Final = r"^[0-9a-f]{32}$"
_MAX_OWN_CHARACTERS: Final = 63
"""Of a reporter's id: the key's name of at most 64 stands before it."""


class FeedbackRequest(Request):
    """A report that a verdict is wrong: which verdict, and what would have been right."""

    verdict_id: str | None = Field(default=None, pattern=_DIGEST, description="This, chat_id, or both.")
    chat_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=256,
        description="Its newest verdict is meant, unless verdict_id is there.",
    )
    fingerprint: str | None = Field(
        default=None, pattern=_DIGEST, description="content_fingerprint: whichever verdict is on this text."
    )
    category: str | None = Field(default=None, max_length=64, description="Code of the category that is right.")
    decision: Decision | None = Field(default=None, description="The decision that is right.")
    reporter: str | None = Field(
        default=None,
        min_length=1,
        max_length=_MAX_OWN_CHARACTERS,
        description="Who says so: an id that stays the same, no name or address. One reporter has one vote on a text. "
        "Absent: whoever holds the key.",
    )
    note: str | None = Field(default=None, max_length=MAX_NOTE_CHARACTERS)

    @model_validator(mode="after")
    def _says_something(self) -> "FeedbackRequest":
        if self.verdict_id is None and self.chat_id is None:
            raise ValueError("neither verdict_id nor chat_id; expected one of them, or both")
        if self.category is None and self.decision is None:
            raise ValueError("neither category nor decision; expected what would have been right: one of them, or both")
        return self


class Reporter:
    """Takes reports.

    Args:
        store: The database.
        hash_of: Gives the keyed hash of a chat; None without a key.
        metrics: Where reports are counted.
    """

    def __init__(self, store: Store, hash_of: Callable[[str], str | None], metrics: Metrics) -> None:
        self._store = store
        self._hash_of = hash_of
        self._metrics = metrics

    def take(self, asked: FeedbackRequest, known: Sequence[KnownVerdict], caller: str) -> bool:
        """Put a report into the outbox where it matches a known verdict; say whether it does.

        Args:
            asked: What is reported.
            known: Verdicts that may be meant.
            caller: Name of the key.

        Raises:
            StoreAway: the database does not answer.
        """
        now = now_ms()
        for verdict in known:
            report = _report(asked, verdict, caller, now)
            found = None if report is None else accepted(report, [verdict])
            if found is not None:
                self._put(found, verdict.chat_id, now)
                self._metrics.reports.labels(result="accepted").inc()
                return True
        self.drop()
        return False

    def drop(self) -> None:
        """Count a report that matches nothing."""
        self._metrics.reports.labels(result="dropped").inc()

    def _put(self, report: Feedback, chat_id: str, now: int) -> None:
        values = report.model_dump(exclude={"schema_version", "reported_at"}) | {"reported_ms": now}
        with self._store.writing() as connection:
            put(
                connection,
                Kind.FEEDBACK,
                secrets.token_hex(16),
                FeedbackBody.model_validate(values),
                chat_id=chat_id,
                chat_hash=self._hash_of(chat_id),
                not_before_ms=now,
                created_ms=now,
            )


def _report(asked: FeedbackRequest, verdict: KnownVerdict, caller: str, now: int) -> Feedback | None:
    """Return the report, complete; None where it cannot be one: it is dropped like one that matches nothing."""
    reporter = caller if asked.reporter is None else f"{caller}/{asked.reporter}"
    values = {
        "verdict_id": asked.verdict_id or verdict.verdict_id,
        "source": verdict.source,
        "chat_id": asked.chat_id,
        "fingerprint": asked.fingerprint,
        "category": asked.category,
        "decision": asked.decision,
        "reporter": reporter[:MAX_REPORTER_CHARACTERS],
        "note": asked.note,
        "reported_at": datetime.fromtimestamp(now / 1_000, UTC),
    }
    try:
        return Feedback.model_validate(values)
    except ValidationError:
        return None
