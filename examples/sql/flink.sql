-- Made by `python -m schemas ddl flink` from verdict.v2.schema.json; do not edit.
-- Committed records alone; aborted verdicts were never given. Set the brokers' address.
-- `verdict_time` is the record's. Exactly-once sinks need checkpoints.
-- The last row of a chat is not its newest verdict: a replay answers old events again (schemas/README.md).
CREATE TABLE verdicts (
  `schema_version` BIGINT,
  `kind` STRING,
  `verdict_id` STRING,
  `chat_id` STRING,
  `event_id` STRING,
  `source` ROW<`topic` STRING, `partition` BIGINT, `offset` BIGINT, `timestamp_ms` BIGINT>,
  `occurred_at` STRING,
  `taxonomy` ROW<`name` STRING, `version` STRING>,
  `category` ROW<`code` STRING, `name` STRING>,
  `probabilities` MAP<STRING, DOUBLE>,
  `evidence` MAP<STRING, DOUBLE>,
  `language` STRING,
  `stage` STRING,
  `unevaluated` ARRAY<STRING>,
  `decisions` MAP<STRING, ROW<`version` STRING, `decision` STRING, `decided_by` STRING>>,
  `policy` ROW<`name` STRING, `version` STRING>,
  `decision` STRING,
  `banned_probability` DOUBLE,
  `banned_to_safe_risk` DOUBLE,
  `decided_by` STRING,
  `rules_version` STRING,
  `override_revision` BIGINT,
  `previous` ROW<`decision` STRING, `offset` BIGINT, `decided_at` STRING>,
  `model` ROW<`name` STRING, `version` STRING, `digest` STRING>,
  `content_fingerprint` STRING,
  `decided_at` STRING,
  `cache_hit` BOOLEAN,
  `replay_id` STRING,
  `verdict_time` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL,
  WATERMARK FOR `verdict_time` AS `verdict_time` - INTERVAL '10' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = 'verdicts',
  'properties.bootstrap.servers' = 'localhost:9092',
  'properties.isolation.level' = 'read_committed',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.fail-on-missing-field' = 'false'
);
