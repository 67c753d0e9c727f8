"""Classify a stream of JSON lines, one answer a line, in order."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
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


_SETTING: Final = re.compile(r" \(MODERATION_\w+\)")
_BOM: Final = b"\xef\xbb\xbf"


def without_setting(error: str) -> str:
    """Return an error without the name of a setting: the limits of a service can be set, those of commands cannot."""
    return _SETTING.sub("", error)


class NotJsonLines(ValueError):  # noqa: N818  the name says what was found
    """A file holds something else than a line for each event."""


def event_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """Yield number (from 1) and text of the lines that are not blank, without ends and an editor's byte-order mark.

    Raises:
        NotJsonLines: the file is a list, or nothing but blank lines.
    """
    is_begun = False
    for number, line in enumerate(lines, start=1):
        text = line.removeprefix(_BOM) if number == 1 else line
        if not text.strip():
            continue
        if not is_begun:
            is_begun = True
            if text.lstrip()[:1] == b"[":
                raise NotJsonLines(
                    f"line {number} begins a JSON list; expected one event a line; write it with `jq -c '.[]'`"
                )
        yield number, text.rstrip(b"\r\n")
    if not is_begun:
        raise NotJsonLines("found no event; expected at least one line")


@dataclass
class RejectedLines:
    """Lines that got no judgement."""

    n_lines: int = 0
    """All lines that are not blank, judged or not."""
    n_by_reason: Counter[str] = field(default_factory=Counter)
    first: dict[str, tuple[int, str]] = field(default_factory=dict)
    """By reason: the number of its first line and the error, which holds no text of the line."""

    @property
    def are_all(self) -> bool:
        """Whether there were lines and none was judged."""
        return 0 < self.n_lines == self.n_by_reason.total()

    def add(self, number: int, rejection: RecordRejected) -> dict[str, Any]:
        """Count one and return its answer."""
        reason = rejection.reason.value
        self.n_by_reason[reason] += 1
        self.first.setdefault(reason, (number, without_setting(rejection.error)))
        return {"rejected": reason, "line": number}

    def __str__(self) -> str:
        """Say how many there were, and of the commonest reason why."""
        reason, n_lines = self.n_by_reason.most_common(1)[0]
        number, error = self.first[reason]
        return (
            f"{self.n_by_reason.total()} of {self.n_lines} lines were rejected; the commonest reason: {reason} "
            f"({n_lines}), first in line {number}: {error}"
        )


def classify_lines(
    lines: Iterable[tuple[int, bytes]], classifier: Classifier, rejected: RejectedLines
) -> Iterator[dict[str, Any]]:
    """Yield one JSON-ready answer per line: a judgement, or `{"rejected": reason, "line": n}`.

    Args:
        lines: Events, see `event_lines`.
        classifier: Answers.
        rejected: Told of the lines without a judgement.
    """
    numbered = iter(lines)
    while chunk := list(islice(numbered, _CHUNK_LINES)):
        answers: dict[int, dict[str, Any]] = {}
        accepted: dict[int, tuple[ChatEvent, list[Turn]]] = {}
        for number, line in chunk:
            try:
                accepted[number] = decode_conversation(line, CodecLimits())
            except RecordRejected as rejection:
                answers[number] = rejected.add(number, rejection)
        rejected.n_lines += len(chunk)
        results, _ = classifier.classify([turns for _, turns in accepted.values()])
        for (number, (event, _)), result in zip(accepted.items(), results, strict=True):
            if isinstance(result, RowFailed):
                failed = RecordRejected(RejectionReason.CLASSIFICATION_FAILED, result.error)
                answers[number] = rejected.add(number, failed)
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
