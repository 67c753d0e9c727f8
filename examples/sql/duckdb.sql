-- Made by `python -m schemas ddl duckdb` from verdict.v2.schema.json; do not edit.
-- Reads JSON lines: SET VARIABLE verdicts = 'verdicts.jsonl'; first. A field that is added later is left out.
-- Rows of schema_version 1 have no decisions, evidence or taxonomy: those columns are null.
-- The last row of a chat is not its newest verdict: a replay answers old events again (schemas/README.md).
CREATE OR REPLACE VIEW verdicts AS
SELECT * FROM read_json(
    getvariable('verdicts'),
    format = 'newline_delimited',
    columns = {
        schema_version: 'BIGINT',
        kind: 'VARCHAR',
        verdict_id: 'VARCHAR',
        chat_id: 'VARCHAR',
        event_id: 'VARCHAR',
        source: 'STRUCT("topic" VARCHAR, "partition" BIGINT, "offset" BIGINT, "timestamp_ms" BIGINT)',
        occurred_at: 'VARCHAR',
        taxonomy: 'STRUCT("name" VARCHAR, "version" VARCHAR)',
        category: 'STRUCT("code" VARCHAR, "name" VARCHAR)',
        probabilities: 'MAP(VARCHAR, DOUBLE)',
        evidence: 'MAP(VARCHAR, DOUBLE)',
        language: 'VARCHAR',
        stage: 'VARCHAR',
        unevaluated: 'VARCHAR[]',
        decisions: 'MAP(VARCHAR, STRUCT("version" VARCHAR, "decision" VARCHAR, "decided_by" VARCHAR))',
        policy: 'STRUCT("name" VARCHAR, "version" VARCHAR)',
        decision: 'VARCHAR',
        banned_probability: 'DOUBLE',
        banned_to_safe_risk: 'DOUBLE',
        decided_by: 'VARCHAR',
        rules_version: 'VARCHAR',
        override_revision: 'BIGINT',
        previous: 'STRUCT("decision" VARCHAR, "offset" BIGINT, "decided_at" TIMESTAMPTZ)',
        model: 'STRUCT("name" VARCHAR, "version" VARCHAR, "digest" VARCHAR)',
        content_fingerprint: 'VARCHAR',
        decided_at: 'TIMESTAMPTZ',
        cache_hit: 'BOOLEAN',
        replay_id: 'VARCHAR'
    }
);
