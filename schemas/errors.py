"""Why a record cannot become a verdict.

The worker dead-letters a record that raises `RecordRejected` and goes on; nothing else may leave
the codec.
"""

from enum import StrEnum


class RejectionReason(StrEnum):
    """Reason codes of the dead-letter topic; part of the contract, never renamed."""

    DECODE_ERROR = "decode_error"
    """Not one JSON object in UTF-8: truncated, BOM, NaN, too deep, duplicate key, no value."""
    TOO_LARGE = "too_large"
    """More bytes, JSON values or messages than the codec accepts."""
    SCHEMA_ERROR = "schema_error"
    """A JSON object, but no ChatEvent: field missing or of wrong type, unknown role or version."""
    EMPTY_CONVERSATION = "empty_conversation"
    """No visible text in `messages`, `formatted_chat` and `query`."""
    CLASSIFICATION_FAILED = "classification_failed"
    """The classifier fails on this very record, also when it is alone in its batch."""
    VERDICT_TOO_LARGE = "verdict_too_large"
    """The verdict topic does not accept a verdict of this size."""


class RecordRejected(Exception):  # noqa: N818  the name says what the worker must do
    """One record cannot become a verdict: dead-letter it and go on.

    Args:
        reason: Code for the `reason` header and the metric label.
        error: What was found and what was expected, for people. Holds no chat text.
        chat_id: The chat, where the record still tells which one it is of.
        erases: Whether the record asks that its chat be forgotten, as a tombstone does.
    """

    def __init__(
        self, reason: RejectionReason, error: str, chat_id: str | None = None, *, erases: bool = False
    ) -> None:
        super().__init__(f"{reason}: {error}")
        self.reason = reason
        self.error = error
        self.chat_id = chat_id
        self.erases = erases
