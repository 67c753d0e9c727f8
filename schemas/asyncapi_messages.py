"""The messages of the AsyncAPI document, and the schemas that they refer to."""

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from schemas.asyncapi_texts import HEADERS
from schemas.chat_event import MAX_CHAT_ID_CHARACTERS
from schemas.contracts import CONTRACTS, ContractSchema, as_header_texts
from schemas.dead_letter import DeadLetter

KAFKA_BINDING_VERSION: Final = "0.5.0"
_SCHEMAS: Final = "#/components/schemas/"


def _message(title: str, summary: str, key: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "title": title,
        "summary": summary,
        **rest,
        "bindings": {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING_VERSION}},
    }


def messages() -> dict[str, Any]:
    """Return the messages by name."""
    chat_id = {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_CHAT_ID_CHARACTERS,
        "description": "The chat_id, as UTF-8 text.",
    }
    return {
        "ChatEvent": _message(
            "Chat event",
            "One state of one conversation.",
            chat_id,
            contentType="application/json",
            headers={"$ref": f"{_SCHEMAS}ForwardedHeaders"},
            payload={"$ref": f"{_SCHEMAS}ChatEvent"},
        ),
        "Erasure": _message(
            "Erasure",
            "A chat is to be forgotten.",
            {"type": "string", "description": "The chat's keyed hash, as in the value."},
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}Erasure"},
        ),
        "Verdict": _message(
            "Verdict",
            "Category, evidence, calibrated risk and decisions for one chat event.",
            chat_id,
            contentType="application/json",
            headers={"$ref": f"{_SCHEMAS}ForwardedHeaders"},
            payload={"$ref": f"{_SCHEMAS}Verdict"},
        ),
        "RejectionMarker": {
            "title": "Rejection marker",
            "summary": "In Redis only: the chat's newest record has no verdict. Read it as a missing key.",
            "contentType": "application/json",
            "payload": {"$ref": f"{_SCHEMAS}RejectionMarker"},
        },
        "VerdictChange": _message(
            "Verdict change",
            "Old and new category and decision of one chat event.",
            chat_id,
            contentType="application/json",
            headers={"$ref": f"{_SCHEMAS}ForwardedHeaders"},
            payload={"$ref": f"{_SCHEMAS}VerdictChange"},
        ),
        "PolicyTableRow": _message(
            "Policy table row",
            "All that decides under one policy of one bundle.",
            {"type": "string", "description": "MODEL_DIGEST/POLICY_NAME/POLICY_VERSION, as UTF-8 text."},
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}PolicyTableRow"},
        ),
        "ConversationState": _message(
            "Conversation state",
            "The blocks that hold a chat, by policy, and the last decision on it; null where it is forgotten.",
            chat_id,
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}ConversationState"},
        ),
        "Override": _message(
            "Override",
            "What a person decided on a chat; no value: taken back.",
            {
                "type": "string",
                "description": "JSON object with the members chat_id, policy and scope, in this order, without blanks.",
            },
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}Override"},
        ),
        "VerdictDecision": _message(
            "Verdict decision",
            "Who decided what, and when.",
            {"type": "string", "description": "The chat's keyed hash, as in the value."},
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}VerdictDecision"},
        ),
        "Review": _message(
            "Review",
            "A verdict on which some policy asks for a person.",
            chat_id,
            contentType="application/json",
            headers={"$ref": f"{_SCHEMAS}ForwardedHeaders"},
            payload={"$ref": f"{_SCHEMAS}Review"},
        ),
        "Feedback": _message(
            "Feedback",
            "A report that a verdict is wrong.",
            {"type": "string", "description": "The verdict_id."},
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}Feedback"},
        ),
        "DeadLetter": _message(
            "Dead letter",
            "The input record's key and raw bytes, with the reason in the headers.",
            {"description": "The input record's key, whatever bytes it holds, or none."},
            contentType="application/octet-stream",
            headers={"allOf": [{"$ref": f"{_SCHEMAS}DeadLetter"}, {"$ref": f"{_SCHEMAS}ForwardedHeaders"}]},
            payload={"description": "The input record's raw bytes; often no valid JSON."},
        ),
    }


def component_schemas() -> dict[str, Any]:
    """Return the schemas by name: those of the contracts on topics, and of the headers that go on."""
    models = [(contract.model, contract.mode) for contract in CONTRACTS if contract.is_on_topics]
    _, document = models_json_schema(models, ref_template=f"{_SCHEMAS}{{model}}", schema_generator=ContractSchema)
    definitions: dict[str, Any] = document["$defs"]
    name = DeadLetter.__name__
    return {**definitions, name: as_header_texts(definitions[name]), "ForwardedHeaders": _forwarded_headers()}


def _forwarded_headers() -> dict[str, Any]:
    return {
        "title": "ForwardedHeaders",
        "type": "object",
        "description": HEADERS,
        "properties": {
            "traceparent": {"type": "string", "description": "W3C Trace Context; passed on as it came."},
            "tracestate": {"type": "string", "description": "W3C Trace Context; passed on as it came."},
        },
    }
