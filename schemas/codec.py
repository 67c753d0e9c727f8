"""Bytes to schema and back.

Decoding is total: any bytes become a `ChatEvent` or a `RecordRejected` with a reason code. The
parser is jiter (the JSON parser of pydantic): unlike orjson it refuses duplicate keys, and like
orjson it refuses invalid UTF-8, a BOM, NaN and lone surrogates (which a tokenizer would answer with
a TypeError). It stops at 200 nested levels without recursion in Python.

Invariant: no error text holds text of the input; it ends in headers, logs and terminals.
"""

import re
from typing import Final

import jiter
import orjson
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from schemas.chat_event import EVENT_SCHEMA_VERSION, MAX_CHAT_ID_CHARACTERS, NO_CONTENT, ChatEvent
from schemas.errors import RecordRejected, RejectionReason
from schemas.foreign_bytes import remedy_for_bytes, remedy_for_value
from schemas.foreign_forms import remedy
from schemas.marker import RejectionMarker
from schemas.record_cost import n_values
from schemas.shared_decisions import SharedDecisions
from schemas.verdict import VERDICT_SCHEMA_VERSION, Verdict
from schemas.verdict_change import VerdictChange
from schemas.verdict_v1 import VerdictV1
from schemas.visible_text import Turn, conversation_turns, kept_turns

MAX_REPORTED_PROBLEMS: Final = 3
_FEW_DECISIONS: Final = 2
"""So many are written as quickly as the verdict's fields are copied."""
_BEGINNING_BYTES: Final = 50_000

_VERSION: Final = re.compile(r"v?[0-9]{1,9}(?:\.[0-9]{1,9}){0,3}")
_VERDICT_ADAPTER: Final = TypeAdapter(Verdict)


class CodecLimits(BaseModel):
    """What one input record may cost before it is rejected."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_event_bytes: int = Field(
        default=2_000_000,
        gt=0,
        description="Largest chat event that is decoded, bytes; larger ones are dead-lettered.",
    )
    max_event_values: int = Field(
        default=75_000,
        gt=0,
        description="Most JSON values in a chat event, context included; one with more is dead-lettered.",
    )
    max_messages: int = Field(
        default=10_000, gt=0, description="Most messages in a chat event; one with more is dead-lettered."
    )


def decode_chat_event(raw: bytes | None, limits: CodecLimits) -> ChatEvent:
    """Decode and validate one input record; see `decode_conversation`."""
    return decode_conversation(raw, limits)[0]


def decode_conversation(raw: bytes | None, limits: CodecLimits) -> tuple[ChatEvent, list[Turn]]:
    """Decode and validate one input record.

    Args:
        raw: The record's value; None for a tombstone.
        limits: Size limits.

    Returns:
        An event and its turns to be judged, at least one; of a very long conversation what `kept_turns` keeps.

    Raises:
        RecordRejected: with reason decode_error, too_large, schema_error or empty_conversation.
    """
    event = validate_event(parse_event(raw, limits))
    return event, kept_turns(visible_turns(event))


def parse_event(raw: bytes | None, limits: CodecLimits) -> dict[str, object]:
    """Parse one input record of a schema version that this code reads.

    Raises:
        RecordRejected: with reason decode_error, too_large or schema_error.
    """
    document = parse_object(raw, limits)
    _check_document(document, limits, len(raw or b""))
    return document


def parse_object(raw: bytes | None, limits: CodecLimits) -> dict[str, object]:
    """Parse one JSON object within the limits of a record.

    Raises:
        RecordRejected: with reason decode_error or too_large; where there is no value, it `erases`.
    """
    if raw is None:
        raise RecordRejected(
            RejectionReason.DECODE_ERROR, "the record has no value (tombstone); expected a JSON object", erases=True
        )
    document = parse_json(raw, limits)
    if not isinstance(document, dict):
        raise RecordRejected(
            RejectionReason.DECODE_ERROR,
            f"the JSON value is a {type(document).__name__}; expected an object{remedy_for_value(document)}",
        )
    return document


def parse_json(raw: bytes, limits: CodecLimits) -> object:
    """Parse JSON within the limits of a record.

    Raises:
        RecordRejected: with reason decode_error or too_large.
    """
    if len(raw) > limits.max_event_bytes:
        raise RecordRejected(
            RejectionReason.TOO_LARGE,
            f"the record has {len(raw)} bytes; expected at most {limits.max_event_bytes} "
            "(MODERATION_CODEC__MAX_EVENT_BYTES)",
        )
    # No record has more values than bytes.
    if len(raw) > limits.max_event_values:
        _check_number_of_values(raw, limits)
    return _parse(raw)


def event_of(document: dict[str, object], limits: CodecLimits) -> ChatEvent:
    """Return the event in an object that was parsed as a part of something larger.

    Raises:
        RecordRejected: with reason too_large or schema_error.
    """
    return validate_event(checked_event(document, limits))


def checked_event(document: dict[str, object], limits: CodecLimits) -> dict[str, object]:
    """Return an object that was parsed as a part of something larger, where `validate_event` may read it.

    Raises:
        RecordRejected: with reason too_large or schema_error.
    """
    _check_document(document, limits)
    return document


def _check_document(document: dict[str, object], limits: CodecLimits, n_bytes: int | None = None) -> None:
    """Refuse another major version, and more messages than the limit; no record has more messages than bytes."""
    try:
        if (version := document.get("schema_version")) is not None:
            _check_version(version)
        if n_bytes is None or n_bytes > limits.max_messages:
            _check_number_of_messages(document.get("messages"), limits)
    except RecordRejected as rejection:
        rejection.chat_id = readable_chat_id(document)
        raise


def validate_event(document: dict[str, object]) -> ChatEvent:
    """Return the event that a parsed record holds; messages that are `Message` objects count as validated.

    Raises:
        RecordRejected: with reason schema_error.
    """
    try:
        return ChatEvent.model_validate(document)
    except ValidationError as error:
        problem = f"{_describe(error)}{remedy(document)}"
        raise RecordRejected(RejectionReason.SCHEMA_ERROR, problem, readable_chat_id(document)) from None


def visible_turns(event: ChatEvent) -> list[Turn]:
    """Return the turns to be judged, at least one.

    Raises:
        RecordRejected: with reason empty_conversation.
    """
    turns = conversation_turns(event)
    if not turns:
        raise RecordRejected(
            RejectionReason.EMPTY_CONVERSATION,
            "messages, formatted_chat and query hold no visible text; expected some in one of them",
            event.chat_id,
        )
    return turns


def _check_number_of_values(raw: bytes, limits: CodecLimits) -> None:
    """Refuse a record that would be slow to parse and large in memory, before any object is made of it."""
    found = n_values(raw, enough=limits.max_event_values)
    if found <= limits.max_event_values:
        return
    # What is broken from its beginning on, nested too deeply say, is called so.
    _parse(raw[:_BEGINNING_BYTES], partial=True)
    raise RecordRejected(
        RejectionReason.TOO_LARGE,
        f"the record has {found} JSON values or more; expected at most {limits.max_event_values} "
        "(MODERATION_CODEC__MAX_EVENT_VALUES); send less in `context` or fewer messages",
    )


def _check_number_of_messages(messages: object, limits: CodecLimits) -> None:
    if isinstance(messages, list) and len(messages) > limits.max_messages:
        raise RecordRejected(
            RejectionReason.TOO_LARGE,
            f"the record has {len(messages)} messages; expected at most {limits.max_messages} "
            "(MODERATION_CODEC__MAX_MESSAGES); send the newest",
        )


def _parse(raw: bytes, *, partial: bool = False) -> object:
    try:
        return jiter.from_json(
            raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys", partial_mode=partial
        )
    except ValueError as error:
        # The parser quotes a duplicate key, which is input text and stays out of headers and logs.
        problem = "duplicate key" if str(error).startswith("Detected duplicate key") else str(error)
        raise RecordRejected(
            RejectionReason.DECODE_ERROR,
            f"not well-formed JSON in UTF-8: {problem}; expected one JSON object"[:300] + remedy_for_bytes(raw),
        ) from None


def readable_chat_id(document: dict[str, object]) -> str | None:
    """Return the chat_id of a record that is rejected for something else."""
    chat_id = document.get("chat_id")
    return chat_id if isinstance(chat_id, str) and 0 < len(chat_id) <= MAX_CHAT_ID_CHARACTERS else None


def _check_version(version: object) -> None:
    """Dispatch on the major version; there is one so far."""
    text = str(version) if isinstance(version, str | int | float) else ""
    major = text.partition(".")[0].removeprefix("v")
    if major != str(EVENT_SCHEMA_VERSION):
        # Only what looks like a version is quoted: anything else may be text from the chat.
        found = text if _VERSION.fullmatch(text) else f"not a version ({type(version).__name__})"
        raise RecordRejected(
            RejectionReason.SCHEMA_ERROR,
            f"schema_version is {found}; expected major version {EVENT_SCHEMA_VERSION}",
        )


def _describe(error: ValidationError) -> str:
    """Name the first few problems without the values, which are chat text."""
    problems = [
        problem
        for problem in error.errors(include_url=False, include_context=False)
        # Only says that another field of the same message is at fault, which is named as well.
        if problem["type"] != "default_factory_not_called"
    ]
    # A location is a path of known field names and list positions, never a name from the input;
    # of the value itself only the type is told.
    named = []
    for problem in problems[:MAX_REPORTED_PROBLEMS]:
        place = ".".join(str(part) for part in problem["loc"])
        is_missing = problem["type"] == "missing" or problem["input"] is NO_CONTENT
        found = "nothing" if is_missing else type(problem["input"]).__name__
        named.append(f"{place}: {problem['msg']}, found {found}")
    more = f" (and {len(problems) - len(named)} more)" if len(problems) > len(named) else ""
    return f"not a ChatEvent: {'; '.join(named)}{more}"


def encode_verdict(verdict: Verdict) -> bytes:
    """Encode a verdict as UTF-8 JSON; one that was read as version 1 is written as version 1."""
    if verdict.schema_version != VERDICT_SCHEMA_VERSION:
        return VerdictV1.model_validate(VerdictV1.fields_of(verdict), from_attributes=True).model_dump_json().encode()
    previous = verdict.previous
    if not verdict.decided_at.microsecond or (previous is not None and not previous.decided_at.microsecond):
        # orjson leaves out the decimals of a full second; readers with a fixed pattern would fail once in a million.
        return _VERDICT_ADAPTER.dump_json(verdict)
    try:
        # A third of pydantic's time; the fields hold what validation made of them, in the order of the model.
        return orjson.dumps(_with_written_decisions(verdict), default=vars, option=orjson.OPT_UTC_Z)
    except orjson.JSONEncodeError:
        # An event_id beyond 64 bits, which upstream may send and orjson does not write.
        return _VERDICT_ADAPTER.dump_json(verdict)


def _with_written_decisions(verdict: Verdict) -> dict[str, object]:
    """Return a verdict's fields, its decisions as they were written once for all verdicts that share them."""
    decisions = verdict.decisions
    if isinstance(decisions, SharedDecisions) and len(decisions) > _FEW_DECISIONS:
        return {**vars(verdict), "decisions": orjson.Fragment(decisions.json)}
    return vars(verdict)


def encode_marker(marker: RejectionMarker) -> bytes:
    """Encode a marker as UTF-8 JSON, its `source` in just the form that it has in a verdict."""
    return orjson.dumps(vars(marker), default=vars)


def decode_marker(raw: bytes) -> RejectionMarker:
    """Decode a marker.

    Raises:
        pydantic.ValidationError: the bytes are not a RejectionMarker.
    """
    return RejectionMarker.model_validate_json(raw)


def encode_verdict_change(change: VerdictChange) -> bytes:
    """Encode a verdict change as UTF-8 JSON."""
    return change.model_dump_json().encode()


def decode_verdict(raw: bytes) -> Verdict:
    """Decode a verdict of this or an earlier schema version; its `schema_version` says of which.

    A verdict of version 1 lacks what a decision can be taken from anew: it is no answer to an event.

    Raises:
        pydantic.ValidationError: the bytes are not a Verdict.
    """
    try:
        return Verdict.model_validate_json(raw)
    except ValidationError as error:
        if not any(problem["loc"] == ("schema_version",) for problem in error.errors(include_url=False)):
            raise
    return VerdictV1.model_validate_json(raw).as_verdict()
