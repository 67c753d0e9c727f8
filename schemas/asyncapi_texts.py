"""What the AsyncAPI document says in words, for readers who see nothing else of this project."""

from typing import Final

READ_COMMITTED: Final = (
    "Readers MUST set `isolation.level=read_committed`. Java clients default to read_uncommitted, "
    "which also returns verdicts of aborted transactions: verdicts that were never given. "
    "librdkafka clients default to read_committed; set it all the same."
)
ORDER_AND_REPEATS: Final = (
    "Order: the key is the chat_id, so the verdicts of one chat lie in one partition, in the order "
    "of its events. Of two verdicts of one chat the newer is the one with the higher source.offset "
    "where source.topic and source.partition are equal, else the one with the later "
    "source.timestamp_ms; on one event the one with the higher override_revision. Keep the newest and drop what is "
    "older: a replay (replay_id is not null) answers old events again.\n\n"
    "Repeats: (source.topic, source.partition, source.offset) names the input record. Under "
    "exactly-once delivery, the default, a live record has one verdict or one dead letter; under "
    "at-least-once delivery, and by a replay, it can have several. A person's decision comes as one more, of kind "
    "`override`, which a crash may repeat. verdict_id is the same "
    "wherever the same content of the same chat is judged again under the same model, rules and policies, with the "
    "same `previous` and `override_revision`: by a redelivery, by a replay, or because upstream sent the same "
    "conversation twice. It then carries the same category and decisions, while event_id, occurred_at, source, "
    "decided_at, cache_hit and replay_id may differ. So compare verdict_id with the verdict you hold for the chat and "
    "skip it when they are equal. Do not drop by a set of all ids ever seen: a conversation that "
    "returns to an earlier state returns to an earlier verdict_id."
)

VERSIONS: Final = (
    "Verdicts that an earlier worker wrote have schema_version 1 (verdict.v1.schema.json) and stay for the topic's "
    "retention. They have all fields but kind, occurred_at, taxonomy, evidence, language, stage, unevaluated, "
    "decisions, decided_by, rules_version, override_revision and previous, and are of taxonomy chat-13."
)
LAYOUT: Final = (
    "Partitioner: murmur2 of the key, as Java's default producer; librdkafka's default is another. Where `verdicts` "
    "has as many partitions as `chat-events` and upstream partitions by murmur2 too, a chat has the same partition "
    "number in both.\n\n"
    "Compression: lz4 by default, or gzip, zstd, none (`kafka.compression`). kafkajs reads gzip and none; for lz4 it "
    "needs a codec of its own.\n\n"
    "Retention: 8 days by time where `python -m deploy.kafka topics` has made the topic, a day longer than Redis keeps "
    "a verdict. Never compacted: after a replay the last verdict of a chat on the topic is not its newest. So "
    "neither a KTable nor the last row per key is a chat's verdict; take the newest as described above."
)
HEADERS: Final = (
    "traceparent, tracestate and what `kafka.forward_headers` names go from the event to its verdict or dead letter, "
    "by replays too: the last of several of one name, never a null, at most 16 headers and 3,000 bytes with their "
    "names; what does not fit is left out whole."
)
OWN_HEADERS: Final = (
    "Where `kafka.cloudevents_source` is set, verdicts carry the attributes of a CloudEvent 1.0 in binary mode "
    "(ce_specversion, ce_type, ce_dataschema, ce_id, ce_source, ce_subject, ce_time, content-type). Where "
    "`kafka.verdict_schema_guid` is set, __value_schema_id holds a byte 1 and the 16 bytes of the schema's GUID."
)
CACHE: Final = (
    "Written by the worker, read by ad servers with GET or MGET. The value is the chat's newest verdict, as on "
    "topic `verdicts`, or an object with `rejected` and without `decision` where the chat's newest record was rejected "
    "or erased: read that as a missing key. It expires 7 days (`redis.ttl_s`) after the chat's last outcome; each "
    "outcome renews that. A missing key never means `allow`. A value may end with the member `mac`, the workers' "
    "own check: ignore it. `redis.key_prefix` may have set another prefix than `verdict:`."
)
POLICY_TABLE: Final = (
    "Compacted: one row for each bundle and policy, all that a reader needs to take the policy's decision on any "
    "verdict of that bundle as the worker does. Off by default (`kafka.policies_topic`). Rows of bundles and policies "
    "that are no longer in use stay, for the verdicts that still lie about; the newest row of a key counts. Take from "
    "the verdict's own `decisions` what no row tells: what `deny_list`, `override` and `hold` decided. A reader that "
    "lacks a verdict's row decides nothing: no ad."
)
OVERRIDES: Final = (
    "Decisions of people, the newest for each chat, policy and scope; optional (`kafka.overrides_topic`). Written by "
    "`worker override` or a console, by a user with a right of its own; workers only read. Partition: murmur2 of the "
    "chat_id alone, as UTF-8, and not of the key, so that all of a chat lie in one. The number of partitions never "
    "changes. A record without a value takes a decision back. Readers MUST set `isolation.level=read_committed`."
)
REVIEWS: Final = (
    "Where `kafka.reviews_topic` is set: one record for each verdict_id on which some policy says `review`, in the "
    "transaction that holds the verdict. None where a cached verdict is repeated unchanged, by replays and shadows, or "
    "where the bundle is not calibrated. Readers MUST set `isolation.level=read_committed` here too, and keep one "
    "record of each verdict_id. A newer verdict of the chat makes its earlier reviews moot. It holds no chat text."
)
FEEDBACK: Final = (
    "What callers and reviewers report as wrong, written by `worker feedback send` or by others; no worker reads it. "
    "`python -m training_pipeline feedback` joins it with the events by `source` and makes labelled chats of it. What "
    "matches no known verdict is dropped there, and counted. `note` may hold personal data: short retention, narrow "
    "access."
)
