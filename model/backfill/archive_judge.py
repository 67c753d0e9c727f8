"""Judge archived records as the worker judges them when they come: same codec, classifier and policies. Pure.

Not the same: nothing is looked up in a cache, no earlier decision holds, and nobody overrules. So an outcome is a
function of the record, the bundle, the policies and the time that is passed in.

Invariant: one outcome for each record, in order.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from model.classifier import Classifier
from model.errors import InferenceStalled, RowFailed
from model.evidence.judging import Classification
from model.evidence.rule import Unevaluated
from model.jsonl import without_setting
from model.policies.policy_set import PolicySet
from schemas import (
    RULES_VERSION,
    VERDICT_SCHEMA_VERSION,
    ChatEvent,
    CodecLimits,
    RecordRejected,
    RejectionReason,
    Source,
    Turn,
    VerdictKind,
    carried_text,
    holds_unread,
    kept_turns,
    longest_user_message,
    parse_event,
    parts_left_out,
    turns_fingerprint,
    validate_event,
    verdict_id,
    visible_turns,
)

_CALL_RECORDS: Final = 512
"""Records of one call of the classifier: enough to sort by length, few enough to hold in memory."""
_CALL_BYTES: Final = 8_000_000
"""And bytes, where records are long."""

Outcome = dict[str, Any]
"""A row of `model.backfill.outcome_table`, by column; columns without a value may be left out."""


class ArchivedRecord(NamedTuple):
    """One row of an archive."""

    file: str
    """Name of its file."""
    row: int
    """Position in the file, from 0."""
    value: bytes | RecordRejected | None
    """The chat event as JSON; None where there is none (a tombstone); why it is none where the row holds no such."""
    source: Source | None = None
    """Where the record stood in Kafka, where the archive tells."""

    @property
    def n_bytes(self) -> int:
        """Size of the value."""
        return len(self.value) if isinstance(self.value, bytes) else 0


class _Event(NamedTuple):
    """What is judged of a record."""

    chat: ChatEvent
    turns: list[Turn]
    fingerprint: str
    longest_message: int
    """Characters of the user's longest message, whole."""
    unread: tuple[Unevaluated, ...]
    """What is there besides the turns."""


class ArchiveJudge:
    """A classifier and the policies that decide on what it says. Not to be shared between threads.

    Args:
        classifier: Of the bundle, under the default policy.
        policies: Of the same bundle; the first one is the default policy.
        decided_at: Stands in every verdict; one time for a whole run, so that a row that is judged again is the same.
        limits: What one record may cost.
    """

    def __init__(
        self, classifier: Classifier, policies: PolicySet, decided_at: datetime, limits: CodecLimits | None = None
    ) -> None:
        self._classifier = classifier
        self._policies = policies
        self._decided_at = decided_at
        self._limits = limits or CodecLimits()
        bundle, policy = classifier.bundle, policies.default.policy
        self._names = bundle.taxonomy.names
        self._same: Outcome = {
            "schema_version": VERDICT_SCHEMA_VERSION,
            "kind": VerdictKind.EVENT.value,
            "taxonomy": bundle.taxonomy.ref.model_dump(),
            "policy": {"name": policy.name, "version": policy.version},
            "rules_version": RULES_VERSION,
            "model": bundle.ref.model_dump(),
            "decided_at": decided_at,
        }

    @property
    def is_worn_out(self) -> bool:
        """Whether inferences run on that never end: the process should stop once the rows in hand are written."""
        return self._classifier.is_worn_out

    def outcomes(self, records: Sequence[ArchivedRecord]) -> Iterator[list[Outcome]]:
        """Yield the outcomes of records in order, in lists of what one call of the classifier took."""
        for chunk in _chunks(records):
            yield list(self._of_chunk(chunk))

    def _of_chunk(self, records: Sequence[ArchivedRecord]) -> Iterator[Outcome]:
        decoded = [self._decoded(record.value) for record in records]
        # The same text twice, an upstream retry say, is classified once.
        distinct = {one.fingerprint: one.turns for one in decoded if isinstance(one, _Event)}
        results = dict(zip(distinct, self._classified(list(distinct.values())), strict=True))
        for record, one in zip(records, decoded, strict=True):
            if isinstance(one, RecordRejected):
                yield _rejected(record, one)
            elif isinstance(result := results[one.fingerprint], RowFailed):
                failed = RecordRejected(RejectionReason.CLASSIFICATION_FAILED, result.error, one.chat.chat_id)
                yield _rejected(record, failed)
            else:
                yield self._verdict(record, one, result)

    def _decoded(self, value: bytes | RecordRejected | None) -> _Event | RecordRejected:
        if isinstance(value, RecordRejected):
            return value
        try:
            document = parse_event(value, self._limits)
            is_unread = holds_unread(parts_left_out(document.get("messages")))
            chat = validate_event(document)
            turns = visible_turns(chat)
        except RecordRejected as rejection:
            return rejection
        # Of a very long conversation all turns count for these two, and some are read.
        fingerprint = turns_fingerprint(turns, holds_unread=is_unread)
        unread = (Unevaluated.CONTENT,) if is_unread else ()
        return _Event(chat, kept_turns(turns), fingerprint, longest_user_message(turns), unread)

    def _classified(self, conversations: Sequence[Sequence[Turn]]) -> list[Classification | RowFailed]:
        """Classify; where the model stalls, in halves, down to the conversation that stalls it alone."""
        try:
            return self._classifier.classify(conversations)[0]
        except InferenceStalled as stalled:
            if len(conversations) == 1:
                return [RowFailed(str(stalled))]
        middle = len(conversations) // 2
        return [*self._classified(conversations[:middle]), *self._classified(conversations[middle:])]

    def _verdict(self, record: ArchivedRecord, event: _Event, said: Classification) -> Outcome:
        unevaluated = (*said.unevaluated, *event.unread)
        decided = self._policies.decide(
            said.evidence,
            category=said.category,
            unevaluated=unevaluated,
            language=said.language,
            longest_message=event.longest_message,
            at=self._decided_at,
            own=said.judgement,
        )
        judgement = decided.judgement
        return {
            **_position(record),
            **self._same,
            "verdict_id": verdict_id(
                chat_id=event.chat.chat_id,
                fingerprint=event.fingerprint,
                model_digest=self._same["model"]["digest"],
                rules_version=RULES_VERSION,
                policies_digest=self._policies.digest_at(self._decided_at),
            ),
            "chat_id": event.chat.chat_id,
            # One type for a whole column: a number as its digits.
            "event_id": carried_text(event.chat.event_id),
            "occurred_at": carried_text(event.chat.occurred_at),
            "category": {"code": said.category, "name": self._names[said.category]},
            "probabilities": said.probabilities,
            "evidence": said.evidence,
            "language": said.language,
            "longest_message": event.longest_message,
            "stage": said.stage.value,
            "unevaluated": [reason.value for reason in unevaluated],
            "decisions": {
                name: {"version": one.version, "decision": one.decision.value, "decided_by": one.decided_by.value}
                for name, one in decided.decisions.items()
            },
            "decision": judgement.decision.value,
            "model_decision": None if decided.model_decision is None else decided.model_decision.value,
            "banned_probability": judgement.banned_probability,
            "banned_to_safe_risk": judgement.banned_to_safe_risk,
            "decided_by": judgement.decided_by.value,
            "content_fingerprint": event.fingerprint,
        }


def _chunks(records: Sequence[ArchivedRecord]) -> Iterator[Sequence[ArchivedRecord]]:
    """Yield records in order, as many at a time as one call of the classifier takes."""
    start = n_bytes = 0
    for end, record in enumerate(records):
        if end > start and (end - start == _CALL_RECORDS or n_bytes + record.n_bytes > _CALL_BYTES):
            yield records[start:end]
            start, n_bytes = end, 0
        n_bytes += record.n_bytes
    if start < len(records):
        yield records[start:]


def _position(record: ArchivedRecord) -> Outcome:
    source = None if record.source is None else record.source.model_dump()
    return {"input_file": record.file, "input_row": record.row, "source": source}


def _rejected(record: ArchivedRecord, rejection: RecordRejected) -> Outcome:
    return {
        **_position(record),
        "rejected": rejection.reason.value,
        "error": without_setting(rejection.error),
        "chat_id": rejection.chat_id,
    }
