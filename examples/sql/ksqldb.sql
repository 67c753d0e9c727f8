-- Made by `python -m schemas ddl ksqldb` from verdict.v2.schema.json; do not edit.
-- Set isolation.level=read_committed for the server or the query: ksql.streams.consumer.isolation.level.
-- The last row of a chat is not its newest verdict: a replay answers old events again (schemas/README.md).
CREATE STREAM verdicts (
  `key` VARCHAR KEY,
  `schema_version` BIGINT,
  `kind` VARCHAR,
  `verdict_id` VARCHAR,
  `chat_id` VARCHAR,
  `event_id` VARCHAR,
  `source` STRUCT<`topic` VARCHAR, `partition` BIGINT, `offset` BIGINT, `timestamp_ms` BIGINT>,
  `occurred_at` VARCHAR,
  `taxonomy` STRUCT<`name` VARCHAR, `version` VARCHAR>,
  `category` STRUCT<`code` VARCHAR, `name` VARCHAR>,
  `probabilities` MAP<VARCHAR, DOUBLE>,
  `evidence` MAP<VARCHAR, DOUBLE>,
  `language` VARCHAR,
  `stage` VARCHAR,
  `unevaluated` ARRAY<VARCHAR>,
  `decisions` MAP<VARCHAR, STRUCT<`version` VARCHAR, `decision` VARCHAR, `decided_by` VARCHAR>>,
  `policy` STRUCT<`name` VARCHAR, `version` VARCHAR>,
  `decision` VARCHAR,
  `banned_probability` DOUBLE,
  `banned_to_safe_risk` DOUBLE,
  `decided_by` VARCHAR,
  `rules_version` VARCHAR,
  `override_revision` BIGINT,
  `previous` STRUCT<`decision` VARCHAR, `offset` BIGINT, `decided_at` VARCHAR>,
  `model` STRUCT<`name` VARCHAR, `version` VARCHAR, `digest` VARCHAR>,
  `content_fingerprint` VARCHAR,
  `decided_at` VARCHAR,
  `cache_hit` BOOLEAN,
  `replay_id` VARCHAR
) WITH (KAFKA_TOPIC = 'verdicts', KEY_FORMAT = 'KAFKA', VALUE_FORMAT = 'JSON');
