"""What travels on the wire: chat events, verdicts, dead letters, policies and their codec."""

from schemas.chat_event import ChatEvent, Message, Role
from schemas.codec import (
    CodecLimits,
    decode_chat_event,
    decode_conversation,
    decode_verdict,
    encode_verdict,
    encode_verdict_change,
    parse_event,
    validate_event,
    visible_turns,
)
from schemas.dead_letter import DeadLetter
from schemas.errors import RecordRejected, RejectionReason
from schemas.identity import content_fingerprint, turns_fingerprint, verdict_id
from schemas.policy import DEFAULT_POLICY, Policy, UncalibratedLanguages
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
from schemas.visible_text import Turn, conversation_turns, is_visible

__all__ = [
    "CATEGORY_NAMES",
    "CODES",
    "DEFAULT_BANNED",
    "DEFAULT_POLICY",
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
    "conversation_turns",
    "decode_chat_event",
    "decode_conversation",
    "decode_verdict",
    "encode_verdict",
    "encode_verdict_change",
    "is_visible",
    "parse_event",
    "turns_fingerprint",
    "validate_event",
    "verdict_id",
    "visible_turns",
]
