"""The AsyncAPI 3.0 document: the topics as this worker reads and writes them.

Invariant: the payload schemas are those of `contracts.py`; the document refers to nothing outside
itself, so that it can be handed to another team as one file.
"""

from typing import Any, Final

from pydantic.json_schema import models_json_schema

from schemas.chat_event import MAX_CHAT_ID_CHARACTERS
from schemas.contracts import CONTRACTS, ContractSchema, as_header_texts
from schemas.dead_letter import DeadLetter
from schemas.verdict import VERDICT_SCHEMA_VERSION

KAFKA_BINDING_VERSION: Final = "0.5.0"
_SCHEMAS: Final = "#/components/schemas/"

READ_COMMITTED: Final = (
    "Readers MUST set `isolation.level=read_committed`. Java clients default to read_uncommitted, "
    "which also returns verdicts of aborted transactions: verdicts that were never given. "
    "librdkafka clients default to read_committed; set it all the same."
)
ORDER_AND_REPEATS: Final = (
    "Order: the key is the chat_id, so the verdicts of one chat lie in one partition, in the order "
    "of its events. Of two verdicts of one chat the newer is the one with the higher source.offset "
    "where source.topic and source.partition are equal, else the one with the later "
    "source.timestamp_ms. Keep the newest and drop what is older: a replay (replay_id is not null) "
    "answers old events again.\n\n"
    "Repeats: (source.topic, source.partition, source.offset) names the input record. Under "
    "exactly-once delivery, the default, a live record has one verdict or one dead letter; under "
    "at-least-once delivery, and by a replay, it can have several. verdict_id is the same "
    "wherever the same content of the same chat is judged again under the same model and policy: "
    "by a redelivery, by a replay, or because upstream sent the same conversation twice. It then "
    "carries the same category and decision, while event_id, source, decided_at, cache_hit and "
    "replay_id may differ. So compare verdict_id with the verdict you hold for the chat and skip "
    "it when they are equal. Do not drop by a set of all ids ever seen: a conversation that "
    "returns to an earlier state returns to an earlier verdict_id."
)


def asyncapi_document() -> dict[str, Any]:
    """Return the document; a function of the models alone."""
    return {
        "asyncapi": "3.0.0",
        "id": "urn:verdictstream:topics",
        "info": {
            "title": "verdictstream",
            "version": f"{VERDICT_SCHEMA_VERSION}.0.0",
            "description": (
                "Chat events in, ad-safety verdicts out. The operations are those of the worker; "
                "a team that publishes chat events or reads verdicts does the opposite. Topic "
                "names are defaults and can be configured.\n\n" + READ_COMMITTED
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(topic: str, message: str, description: str) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": topic, "bindingVersion": KAFKA_BINDING_VERSION}},
    }


def _channels() -> dict[str, Any]:
    return {
        "chatEvents": _channel(
            "chat-events",
            "ChatEvent",
            "One record per state of a conversation, written by upstream. The whole conversation "
            "is judged each time. Unknown fields are ignored.",
        ),
        "verdicts": _channel(
            "verdicts",
            "Verdict",
            f"{READ_COMMITTED}\n\n{ORDER_AND_REPEATS}\n\n"
            "Ignore fields that you do not know; refuse a schema_version that you do not know. "
            "A verdict holds no chat text.",
        ),
        "verdictChanges": _channel(
            "verdict-changes",
            "VerdictChange",
            "Written by a replay that compares: one record for each event whose category or decision is not what the "
            "newest earlier verdict in the verdict topic said, in the transaction that holds the new verdict. Readers "
            "MUST set `isolation.level=read_committed` here too. A change is about one event: act on it unless you "
            "hold a verdict on a newer event of that chat.",
        ),
        "shadowVerdicts": _channel(
            "verdicts-shadow",
            "Verdict",
            "What a bundle that is on trial says of the same events, best effort and outside any transaction: some may "
            "be missing, some repeated. For comparison only: no ad may be placed or held back by them.",
        ),
        "deadLetters": _channel(
            "chat-events.dlq",
            "DeadLetter",
            "Input records that cannot become a verdict, written in the transaction that commits "
            "their offsets. Readers MUST set `isolation.level=read_committed` here too. The value "
            "holds chat text: short retention, narrow access.",
        ),
    }


def _operation(action: str, channel: str, message: str, summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
        "bindings": {"kafka": {"bindingVersion": KAFKA_BINDING_VERSION}},
    }


def _operations() -> dict[str, Any]:
    return {
        "receiveChatEvents": _operation(
            "receive",
            "chatEvents",
            "ChatEvent",
            "The worker reads chat events.",
        ),
        "sendVerdicts": _operation(
            "send",
            "verdicts",
            "Verdict",
            "The worker writes verdicts in Kafka transactions that also commit the input offsets.",
        ),
        "sendVerdictChanges": _operation(
            "send",
            "verdictChanges",
            "VerdictChange",
            "A replay writes what changed in the same transactions as the new verdicts.",
        ),
        "sendShadowVerdicts": _operation(
            "send",
            "shadowVerdicts",
            "Verdict",
            "A worker with a shadow bundle writes its verdicts after the live ones are committed.",
        ),
        "sendDeadLetters": _operation(
            "send",
            "deadLetters",
            "DeadLetter",
            "The worker writes rejected records in the same transactions as the verdicts.",
        ),
    }


def _message(title: str, summary: str, key: dict[str, Any], **rest: Any) -> dict[str, Any]:
    return {
        "title": title,
        "summary": summary,
        **rest,
        "bindings": {"kafka": {"key": key, "bindingVersion": KAFKA_BINDING_VERSION}},
    }


def _messages() -> dict[str, Any]:
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
            payload={"$ref": f"{_SCHEMAS}ChatEvent"},
        ),
        "Verdict": _message(
            "Verdict",
            "Category, calibrated risk and decision for one chat event.",
            chat_id,
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}Verdict"},
        ),
        "VerdictChange": _message(
            "Verdict change",
            "Old and new category and decision of one chat event.",
            chat_id,
            contentType="application/json",
            payload={"$ref": f"{_SCHEMAS}VerdictChange"},
        ),
        "DeadLetter": _message(
            "Dead letter",
            "The input record's key and raw bytes, with the reason in the headers.",
            {"description": "The input record's key, whatever bytes it holds, or none."},
            contentType="application/octet-stream",
            headers={"$ref": f"{_SCHEMAS}DeadLetter"},
            payload={"description": "The input record's raw bytes; often no valid JSON."},
        ),
    }


def _schemas() -> dict[str, Any]:
    models = [(contract.model, contract.mode) for contract in CONTRACTS if contract.name != "policy"]
    _, document = models_json_schema(models, ref_template=f"{_SCHEMAS}{{model}}", schema_generator=ContractSchema)
    definitions: dict[str, Any] = document["$defs"]
    name = DeadLetter.__name__
    return {**definitions, name: as_header_texts(definitions[name])}
