"""Classify a stream of JSON lines, one answer a line, in order."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any, Final

from model.classifier import Classifier
from model.errors import RowFailed
from model.evidence.judging import Classification
from schemas import (
    ChatEvent,
    CodecLimits,
    RecordRejected,
    RejectionReason,
    Taxonomy,
    Turn,
    decode_conversation,
)

_CHUNK_LINES: Final = 512
"""Lines read before the first answer of a chunk: enough to sort rows by length, few enough to hold in memory."""


def classify_lines(lines: Iterable[bytes], classifier: Classifier) -> Iterator[dict[str, Any]]:
    """Yield one JSON-ready answer per line: a judgement, or `{"rejected": reason, "line": n}` (n from 1)."""
    numbered = enumerate(lines, start=1)
    while chunk := list(islice(numbered, _CHUNK_LINES)):
        answers: dict[int, dict[str, Any]] = {}
        accepted: dict[int, tuple[ChatEvent, list[Turn]]] = {}
        for number, line in chunk:
            try:
                accepted[number] = decode_conversation(line.rstrip(b"\r\n"), CodecLimits())
            except RecordRejected as rejection:
                answers[number] = {"rejected": rejection.reason.value, "line": number}
        results, _ = classifier.classify([turns for _, turns in accepted.values()])
        for (number, (event, _)), result in zip(accepted.items(), results, strict=True):
            if isinstance(result, RowFailed):
                answers[number] = {
                    "rejected": RejectionReason.CLASSIFICATION_FAILED.value,
                    "line": number,
                }
            else:
                answers[number] = {"chat_id": event.chat_id, **judgement_fields(result, classifier.bundle.taxonomy)}
        yield from (answers[number] for number, _ in chunk)


def judgement_fields(result: Classification, taxonomy: Taxonomy) -> dict[str, Any]:
    """Return the fields that a judgement shares with a Verdict."""
    return {
        "taxonomy": taxonomy.ref.model_dump(mode="json"),
        "category": {"code": result.category, "name": taxonomy.names[result.category]},
        "probabilities": result.probabilities,
        "banned_probability": result.judgement.banned_probability,
        "banned_to_safe_risk": result.judgement.banned_to_safe_risk,
        "decision": result.judgement.decision.value,
        "decided_by": result.judgement.decided_by.value,
        "evidence": result.evidence,
        "unevaluated": list(result.unevaluated),
        "stage": result.stage.value,
        "language": result.language,
    }
