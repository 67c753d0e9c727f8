-- Queries over the view of duckdb.sql. Each ends with a semicolon and is named by the comment before it.

-- newest: the newest verdict of each chat. Not the last row: a replay answers old events again. Within a partition the
-- higher offset counts, then the higher override_revision; between partitions the later time of the record.
CREATE OR REPLACE VIEW newest AS
WITH of_partition AS (
    SELECT * FROM verdicts
    QUALIFY row_number() OVER (
        PARTITION BY chat_id, source.topic, source.partition
        ORDER BY source.offset DESC, coalesce(override_revision, 0) DESC, decided_at DESC
    ) = 1
)
SELECT * FROM of_partition
QUALIFY row_number() OVER (PARTITION BY chat_id ORDER BY source.timestamp_ms DESC, decided_at DESC) = 1;

-- policy_decisions: one row for each verdict and policy.
CREATE OR REPLACE VIEW policy_decisions AS
SELECT chat_id, verdict_id, policy, decided.version AS policy_version, decided.decision, decided.decided_by
FROM (
    SELECT chat_id, verdict_id, unnest(map_keys(decisions)) AS policy, unnest(map_values(decisions)) AS decided
    FROM newest
);

-- shares: what each policy allows of the chats.
SELECT policy, decision, count(*) AS n_chats, round(count(*) / sum(count(*)) OVER (PARTITION BY policy), 4) AS share
FROM policy_decisions GROUP BY policy, decision ORDER BY policy, decision;

-- categories: chats and their mean risk by category, of one taxonomy each.
SELECT taxonomy.name AS taxonomy, category.code AS code, count(*) AS n_chats, round(avg(banned_to_safe_risk), 6) AS risk
FROM newest GROUP BY ALL ORDER BY taxonomy, code;

-- scores: the score of a policy that bans D, J and M, taken anew from the evidence.
SELECT chat_id, round(least(1.0, evidence['D'] + evidence['J'] + evidence['M']), 6) AS score
FROM newest WHERE taxonomy.name = 'chat-13' ORDER BY chat_id;
