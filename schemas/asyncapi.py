"""The AsyncAPI 3.0 document: the topics and the Redis keys as this worker reads and writes them.

Invariant: the payload schemas are those of `contracts.py`; the document refers to nothing outside
itself, so that it can be handed to another team as one file.
"""

from typing import Any, Final

from schemas.asyncapi_messages import KAFKA_BINDING_VERSION, component_schemas, messages
from schemas.asyncapi_texts import (
    CACHE,
    FEEDBACK,
    HEADERS,
    LAYOUT,
    ORDER_AND_REPEATS,
    OVERRIDES,
    OWN_HEADERS,
    POLICY_TABLE,
    READ_COMMITTED,
    REVIEWS,
    VERSIONS,
)
from schemas.verdict import VERDICT_SCHEMA_VERSION

VERDICT_RETENTION_MS: Final = 8 * 86_400_000
"""As the project's own command creates the topic: a day longer than Redis keeps a verdict."""
FEEDBACK_RETENTION_MS: Final = 30 * 86_400_000
REDIS_TTL_S: Final = 7 * 86_400
"""The default; see `redis.ttl_s`."""
PARTITIONER: Final = "murmur2"
COMPRESSION: Final = "lz4"
"""The default; see `kafka.compression`."""


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
        "servers": _servers(),
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": messages(), "schemas": component_schemas()},
    }


def _servers() -> dict[str, Any]:
    def server(protocol: str, default: str, description: str) -> dict[str, Any]:
        return {
            "host": "{address}",
            "protocol": protocol,
            "description": description,
            "variables": {"address": {"default": default, "description": "host:port, as the deployment has it."}},
        }

    return {
        "kafka": server("kafka", "localhost:9092", "Topics; TLS and SASL as the deployment has them."),
        "redis": server("redis", "localhost:6379", "The newest verdict of each chat; optional."),
    }


def _channel(topic: str, message: str, description: str, **binding: Any) -> dict[str, Any]:
    return {
        "address": topic,
        "description": description,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {"kafka": {"topic": topic, **binding, "bindingVersion": KAFKA_BINDING_VERSION}},
    }


def _written(channel: dict[str, Any]) -> dict[str, Any]:
    """Return a channel with what the worker's producer does to it, for which Kafka's binding has no field."""
    return {**channel, "x-partitioner": PARTITIONER, "x-compression": COMPRESSION}


def _cache_channel() -> dict[str, Any]:
    return {
        "address": "verdict:{chatId}",
        "description": CACHE,
        "servers": [{"$ref": "#/servers/redis"}],
        "parameters": {"chatId": {"description": "The chat_id, as UTF-8 text; not escaped."}},
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in ("Verdict", "RejectionMarker")},
        "x-ttl-seconds": REDIS_TTL_S,
    }


def _channels() -> dict[str, Any]:
    return {
        "chatEvents": _channel(
            "chat-events",
            "ChatEvent",
            "One record per state of a conversation, written by upstream. The whole conversation "
            "is judged each time. Unknown fields are ignored.",
        ),
        "verdictErasures": _channel(
            "verdict-erasures",
            "Erasure",
            "The chats that were erased, each by a keyed hash of its id: what is kept of them elsewhere is used no "
            "more. Written by `worker erase`, and by the worker in the transaction of a tombstone. Optional "
            "(`kafka.erasures_topic`).",
            topicConfiguration={"cleanup.policy": ["compact"]},
        ),
        "verdicts": _written(
            _channel(
                "verdicts",
                "Verdict",
                f"{READ_COMMITTED}\n\n{ORDER_AND_REPEATS}\n\n{LAYOUT}\n\n{HEADERS}\n\n{OWN_HEADERS}\n\n{VERSIONS}\n\n"
                "Ignore fields that you do not know; refuse a schema_version that you do not know. "
                "A verdict holds no chat text.",
                topicConfiguration={"cleanup.policy": ["delete"], "retention.ms": VERDICT_RETENTION_MS},
            )
        ),
        "verdictCache": _cache_channel(),
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
        "policyTable": _channel(
            "verdict-policies",
            "PolicyTableRow",
            POLICY_TABLE,
            topicConfiguration={"cleanup.policy": ["compact"]},
        ),
        "conversationStates": _channel(
            "verdict-state",
            "ConversationState",
            "What holds a chat whose policy asks for it (`hold_block_s`): one record for each change, in the "
            "transaction of the verdict that it follows from, in the partition with the number of the input record's. "
            "Compacted; a null value forgets the chat. A worker reads a partition of it before its first batch of the "
            "input partition of that number. Others may read it; only workers, and an erasure with null values, may "
            "write it.\n\n"
            f"{READ_COMMITTED}",
            topicConfiguration={"cleanup.policy": ["compact"]},
        ),
        "verdictOverrides": _channel(
            "verdict-overrides",
            "Override",
            OVERRIDES,
            topicConfiguration={"cleanup.policy": ["compact"]},
        ),
        "verdictDecisions": _channel(
            "verdict-decisions",
            "VerdictDecision",
            "The audit log: one record for each decision of a person, set or taken back, in the transaction of the "
            "override itself. Appended and kept for long; the chat is a keyed hash. Optional "
            "(`kafka.decisions_topic`).",
            topicConfiguration={"cleanup.policy": ["delete"]},
        ),
        "verdictReviews": _written(
            _channel(
                "verdict-reviews",
                "Review",
                REVIEWS,
                topicConfiguration={"cleanup.policy": ["delete"], "retention.ms": VERDICT_RETENTION_MS},
            )
        ),
        "verdictFeedback": _channel(
            "verdict-feedback",
            "Feedback",
            FEEDBACK,
            topicConfiguration={"cleanup.policy": ["delete"], "retention.ms": FEEDBACK_RETENTION_MS},
        ),
        "deadLetters": _channel(
            "chat-events.dlq",
            "DeadLetter",
            "Input records that cannot become a verdict, written in the transaction that commits "
            "their offsets. Readers MUST set `isolation.level=read_committed` here too. The value "
            f"holds chat text: short retention, narrow access.\n\n{HEADERS} None of them overrides one of the dead "
            "letter's own.",
        ),
    }


def _operation(action: str, channel: str, message: str, summary: str, *, protocol: str = "kafka") -> dict[str, Any]:
    kafka = {"bindings": {"kafka": {"bindingVersion": KAFKA_BINDING_VERSION}}} if protocol == "kafka" else {}
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "summary": summary,
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
        **kafka,
    }


def _operations() -> dict[str, Any]:
    return {
        "receiveChatEvents": _operation(
            "receive",
            "chatEvents",
            "ChatEvent",
            "The worker reads chat events.",
        ),
        "sendErasures": _operation(
            "send",
            "verdictErasures",
            "Erasure",
            "The worker lists the chat of each tombstone that it reads.",
        ),
        "sendVerdicts": _operation(
            "send",
            "verdicts",
            "Verdict",
            "The worker writes verdicts in Kafka transactions that also commit the input offsets.",
        ),
        "cacheVerdicts": _operation(
            "send",
            "verdictCache",
            "Verdict",
            "The worker sets the key of each chat to its newest verdict.",
            protocol="redis",
        ),
        "cacheRejections": _operation(
            "send",
            "verdictCache",
            "RejectionMarker",
            "The worker sets the key of a chat whose newest record was rejected or erased to a marker.",
            protocol="redis",
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
        "sendPolicyTable": _operation(
            "send",
            "policyTable",
            "PolicyTableRow",
            "A worker writes the rows of the policies that it decides by, at its start and when it takes up others.",
        ),
        "sendConversationStates": _operation(
            "send",
            "conversationStates",
            "ConversationState",
            "The worker writes what it must remember of a chat in the same transactions as its verdicts.",
        ),
        "receiveOverrides": _operation(
            "receive",
            "verdictOverrides",
            "Override",
            "Every worker reads all of them at its start and follows them.",
        ),
        "sendVerdictDecisions": _operation(
            "send",
            "verdictDecisions",
            "VerdictDecision",
            "`worker override` writes them, never the worker itself.",
        ),
        "sendReviews": _operation(
            "send",
            "verdictReviews",
            "Review",
            "The worker writes what asks for a person in the same transactions as the verdicts.",
        ),
        "receiveFeedback": _operation(
            "receive",
            "verdictFeedback",
            "Feedback",
            "The training pipeline reads reports and makes labelled chats of them.",
        ),
        "sendDeadLetters": _operation(
            "send",
            "deadLetters",
            "DeadLetter",
            "The worker writes rejected records in the same transactions as the verdicts.",
        ),
    }
