"""What travels on the wire: chat events, verdicts, dead letters, policies and their codec."""

from schemas.chat_event import RESULTS_OF_TOOLS, ChatEvent, Message, Role
from schemas.codec import (
    CodecLimits,
    decode_chat_event,
    decode_conversation,
    decode_marker,
    decode_verdict,
    encode_marker,
    encode_verdict,
    encode_verdict_change,
    parse_event,
    validate_event,
    visible_turns,
)
from schemas.content import content_text, parts_left_out
from schemas.dead_letter import DeadLetter
from schemas.errors import RecordRejected, RejectionReason
from schemas.identity import content_fingerprint, turns_fingerprint, verdict_id
from schemas.marker import RejectionMarker
from schemas.policy import DEFAULT_POLICY, Policy, UncalibratedLanguages
from schemas.record_cost import estimated_decoded_bytes
from schemas.taxonomy import CATEGORY_NAMES, CODES, DEFAULT_BANNED, Category
from schemas.verdict import (
    CategoryLabel,
    Decision,
    ModelRef,
    PolicyRef,
    Source,
    Verdict,
    category_label,
)
from schemas.verdict_change import Standing, VerdictChange
from schemas.visible_text import KEPT_END_CHARACTERS, Turn, conversation_turns, ends_of, is_visible, kept_turns

__all__ = [
    "CATEGORY_NAMES",
    "CODES",
    "DEFAULT_BANNED",
    "DEFAULT_POLICY",
    "KEPT_END_CHARACTERS",
    "RESULTS_OF_TOOLS",
    "Category",
    "CategoryLabel",
    "ChatEvent",
    "CodecLimits",
    "DeadLetter",
    "Decision",
    "Message",
    "ModelRef",
    "Policy",
    "PolicyRef",
    "RecordRejected",
    "RejectionMarker",
    "RejectionReason",
    "Role",
    "Source",
    "Standing",
    "Turn",
    "UncalibratedLanguages",
    "Verdict",
    "VerdictChange",
    "category_label",
    "content_fingerprint",
    "content_text",
    "conversation_turns",
    "decode_chat_event",
    "decode_conversation",
    "decode_marker",
    "decode_verdict",
    "encode_marker",
    "encode_verdict",
    "encode_verdict_change",
    "ends_of",
    "estimated_decoded_bytes",
    "is_visible",
    "kept_turns",
    "parse_event",
    "parts_left_out",
    "turns_fingerprint",
    "validate_event",
    "verdict_id",
    "visible_turns",
]
