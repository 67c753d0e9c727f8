"""What travels on the wire: chat events, verdicts, dead letters, policies and their codec."""

from schemas.chat_event import RESULTS_OF_TOOLS, ChatEvent, Message, Role, carried_text
from schemas.codec import (
    CodecLimits,
    decode_chat_event,
    decode_conversation,
    decode_marker,
    decode_verdict,
    encode_marker,
    encode_verdict,
    encode_verdict_change,
    event_of,
    parse_event,
    validate_event,
    visible_turns,
)
from schemas.content import content_text, holds_unread, parts_left_out
from schemas.dead_letter import DeadLetter
from schemas.envelopes import ValueFormat, parse_event_in
from schemas.errors import RecordRejected, RejectionReason
from schemas.feedback import Feedback, FeedbackRefused, decode_feedback, encode_feedback, feedback_on
from schemas.identity import RULES_VERSION, content_fingerprint, policies_digest, turns_fingerprint, verdict_id
from schemas.marker import RejectionMarker
from schemas.override import Override, OverrideScope, decode_override, encode_override, override_key
from schemas.policy import DEFAULT_POLICY, Enforcement, Policy, UncalibratedLanguages
from schemas.record_cost import estimated_decoded_bytes
from schemas.record_key import chat_of_key
from schemas.review import Review, decode_review, encode_review, review_of
from schemas.shared_decisions import EncodedDecision, SharedDecisions
from schemas.taxonomy import (
    CHAT_13,
    Taxonomy,
    TaxonomyError,
    TaxonomyRef,
    load_taxonomy,
    shipped_taxonomy,
    taxonomy_of,
)
from schemas.verdict import (
    VERDICT_SCHEMA_VERSION,
    CategoryLabel,
    DecidedBy,
    Decision,
    ModelRef,
    PolicyDecision,
    PolicyRef,
    PreviousDecision,
    Source,
    Verdict,
    VerdictKind,
    category_label,
)
from schemas.verdict_change import Standing, VerdictChange
from schemas.verdict_decision import DecisionAction, VerdictDecision, encode_verdict_decision
from schemas.visible_text import (
    KEPT_END_CHARACTERS,
    Turn,
    conversation_turns,
    ends_of,
    is_visible,
    kept_turns,
    longest_user_message,
)

__all__ = [
    "CHAT_13",
    "DEFAULT_POLICY",
    "KEPT_END_CHARACTERS",
    "RESULTS_OF_TOOLS",
    "RULES_VERSION",
    "VERDICT_SCHEMA_VERSION",
    "CategoryLabel",
    "ChatEvent",
    "CodecLimits",
    "DeadLetter",
    "DecidedBy",
    "Decision",
    "DecisionAction",
    "EncodedDecision",
    "Enforcement",
    "Feedback",
    "FeedbackRefused",
    "Message",
    "ModelRef",
    "Override",
    "OverrideScope",
    "Policy",
    "PolicyDecision",
    "PolicyRef",
    "PreviousDecision",
    "RecordRejected",
    "RejectionMarker",
    "RejectionReason",
    "Review",
    "Role",
    "SharedDecisions",
    "Source",
    "Standing",
    "Taxonomy",
    "TaxonomyError",
    "TaxonomyRef",
    "Turn",
    "UncalibratedLanguages",
    "ValueFormat",
    "Verdict",
    "VerdictChange",
    "VerdictDecision",
    "VerdictKind",
    "carried_text",
    "category_label",
    "chat_of_key",
    "content_fingerprint",
    "content_text",
    "conversation_turns",
    "decode_chat_event",
    "decode_conversation",
    "decode_feedback",
    "decode_marker",
    "decode_override",
    "decode_review",
    "decode_verdict",
    "encode_feedback",
    "encode_marker",
    "encode_override",
    "encode_review",
    "encode_verdict",
    "encode_verdict_change",
    "encode_verdict_decision",
    "ends_of",
    "estimated_decoded_bytes",
    "event_of",
<<<<<<< HEAD
    "holds_unread",
=======
    "feedback_on",
>>>>>>> integ
    "is_visible",
    "kept_turns",
    "load_taxonomy",
    "longest_user_message",
    "override_key",
    "parse_event",
    "parse_event_in",
    "parts_left_out",
    "policies_digest",
    "review_of",
    "shipped_taxonomy",
    "taxonomy_of",
    "turns_fingerprint",
    "validate_event",
    "verdict_id",
    "visible_turns",
]
