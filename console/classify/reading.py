"""From the body of /v1/classify to what is asked."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from console.classify.documents import MAX_CONVERSATIONS
from console.classify.size import oversize, oversize_each
from console.errors import Problem
from console.judging.asked import TEXT_FIELDS, Asked, read_asked
from console.port.body import parse_object
from schemas import CodecLimits, RecordRejected, RejectionReason
from schemas.foreign_forms import is_sharegpt

STATUS_OF: Final = {
    RejectionReason.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    RejectionReason.CLASSIFICATION_FAILED: HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""Of the others: 400."""


class Reading(NamedTuple):
    """What a request asks."""

    asked: Sequence[Asked | RecordRejected]
    is_batch: bool


def read_request(raw: bytes, limits: CodecLimits) -> Reading:
    """Read a request of one conversation or of a batch.

    Raises:
        Problem: it is neither.
    """
    document = parse_object(raw)
    if not _is_batch(document):
        return Reading([oversize(raw, limits) or _asked(document, limits)], is_batch=False)
    conversations = document["conversations"]
    if not isinstance(conversations, list) or not 1 <= len(conversations) <= MAX_CONVERSATIONS:
        found = f"a list of {len(conversations)}" if isinstance(conversations, list) else type(conversations).__name__
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            RejectionReason.SCHEMA_ERROR,
            f"conversations is {found}; expected a list of 1 to {MAX_CONVERSATIONS}",
            param="conversations",
        )
    sizes = oversize_each(conversations, raw, limits)
    asked = [size or _asked(value, limits) for value, size in zip(conversations, sizes, strict=True)]
    return Reading(asked, is_batch=True)


def problem_of(rejection: RecordRejected) -> Problem:
    """Return the problem of a request that holds one conversation, or none that was judged."""
    status = STATUS_OF.get(rejection.reason, HTTPStatus.BAD_REQUEST)
    return Problem(status, rejection.reason.value, rejection.error)


def _is_batch(document: dict[str, Any]) -> bool:
    # ShareGPT's turns stand under `conversations` too; read as one event, it is refused with what to do.
    is_event = any(name in document for name in TEXT_FIELDS)
    return "conversations" in document and not is_event and not is_sharegpt(document)


def _asked(value: object, limits: CodecLimits) -> Asked | RecordRejected:
    try:
        return read_asked(value, limits)
    except RecordRejected as rejection:
        return rejection
