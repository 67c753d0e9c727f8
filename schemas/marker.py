"""The marker: what stands in a chat's cache key where its newest record was rejected. It holds no chat text.

A dead letter would otherwise leave the verdict before it in the cache, an `allow` on a conversation that nobody judged.
"""

from typing import Final

from pydantic import Field

from schemas.verdict import Source, WireModel

MARKER_SCHEMA_VERSION: Final = 1

TOMBSTONE: Final = "tombstone"
"""What a marker says where the record had no value: the chat is to be forgotten."""

OWED: Final = "owed"
"""What a marker says in place of an outcome that the cache was never given. On its record any other value stays."""


class RejectionMarker(WireModel):
    """Says that a chat's newest record has no verdict here. A reader of the cache treats it as a missing key."""

    schema_version: int = Field(default=MARKER_SCHEMA_VERSION, ge=1, le=MARKER_SCHEMA_VERSION)
    chat_id: str = Field(min_length=1, max_length=256)
    source: Source = Field(description="The record that has no verdict.")
    rejected: str = Field(
        min_length=1,
        description="The reason of its dead letter; `tombstone` where it had no value; `owed` where its outcome is "
        "only on the topics.",
    )
