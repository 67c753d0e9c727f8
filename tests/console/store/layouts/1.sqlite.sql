-- The database as layout 1 made it. Frozen: the test of the steps begins here.
CREATE TABLE access_log (
    id INTEGER NOT NULL,
    actor VARCHAR(128) NOT NULL,
    action VARCHAR(32) NOT NULL,
    item_id INTEGER,
    chat_hash VARCHAR(64),
    detail JSON NOT NULL,
    at_ms BIGINT NOT NULL,
    PRIMARY KEY (id)
);
CREATE INDEX access_by_time ON access_log (at_ms);
CREATE TABLE counts (
    hour_ms BIGINT NOT NULL,
    what VARCHAR(32) NOT NULL,
    policy VARCHAR(64) NOT NULL,
    "key" VARCHAR(96) NOT NULL,
    n BIGINT NOT NULL,
    PRIMARY KEY (hour_ms, what, policy, "key")
);
CREATE TABLE erasures (
    chat_hash VARCHAR(64) NOT NULL,
    erased_ms BIGINT NOT NULL,
    PRIMARY KEY (chat_hash)
);
CREATE TABLE items (
    id INTEGER NOT NULL,
    kind VARCHAR(16) NOT NULL,
    queue VARCHAR(64) NOT NULL,
    state VARCHAR(16) NOT NULL,
    verdict_id VARCHAR(64) NOT NULL,
    chat_id VARCHAR(256),
    chat_hash VARCHAR(64),
    topic VARCHAR(249),
    partition INTEGER,
    record_offset BIGINT,
    timestamp_ms BIGINT,
    fingerprint VARCHAR(64),
    policies JSON NOT NULL,
    taxonomy JSON NOT NULL,
    category VARCHAR(64) NOT NULL,
    evidence JSON NOT NULL,
    language VARCHAR(16),
    unevaluated JSON NOT NULL,
    model JSON NOT NULL,
    risk FLOAT NOT NULL,
    decided_ms BIGINT NOT NULL,
    arrived_ms BIGINT NOT NULL,
    order_ms BIGINT NOT NULL,
    n_wanted INTEGER NOT NULL,
    n_answers INTEGER NOT NULL,
    closed_ms BIGINT,
    stratum VARCHAR(160),
    inclusion FLOAT,
    gold_key VARCHAR(64),
    gold_decision VARCHAR(16),
    gold_category VARCHAR(64),
    appealed_id INTEGER,
    closed_why VARCHAR(16),
    closed_by VARCHAR(128),
    meant_for VARCHAR(128),
    PRIMARY KEY (id),
    CONSTRAINT one_item_a_verdict UNIQUE (kind, verdict_id)
);
CREATE INDEX items_by_age ON items (state, arrived_ms);
CREATE INDEX items_by_category ON items (state, category);
CREATE INDEX items_by_chat ON items (chat_id);
CREATE INDEX items_by_closing ON items (closed_ms);
CREATE INDEX items_by_fingerprint ON items (fingerprint, state, kind);
CREATE INDEX items_by_hash ON items (chat_hash);
CREATE INDEX items_by_kind ON items (kind, state, arrived_ms);
CREATE INDEX items_by_order ON items (state, queue, order_ms);
CREATE INDEX items_by_queue_age ON items (state, queue, arrived_ms);
CREATE INDEX items_by_verdict ON items (verdict_id);
CREATE INDEX items_in_order ON items (state, order_ms);
CREATE TABLE layout (
    version INTEGER NOT NULL,
    PRIMARY KEY (version)
);
CREATE TABLE leases (
    name VARCHAR(64) NOT NULL,
    holder VARCHAR(64) NOT NULL,
    until_ms BIGINT NOT NULL,
    PRIMARY KEY (name)
);
CREATE TABLE offsets (
    topic VARCHAR(249) NOT NULL,
    partition INTEGER NOT NULL,
    next_offset BIGINT NOT NULL,
    PRIMARY KEY (topic, partition)
);
CREATE TABLE outbox (
    id INTEGER NOT NULL,
    decision_id VARCHAR(32) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    chat_id VARCHAR(256),
    chat_hash VARCHAR(64),
    body BLOB NOT NULL,
    created_ms BIGINT NOT NULL,
    not_before_ms BIGINT NOT NULL,
    sent_ms BIGINT,
    cancelled_ms BIGINT,
    n_tries INTEGER NOT NULL,
    next_try_ms BIGINT NOT NULL,
    error VARCHAR(500),
    started_ms BIGINT,
    refused_ms BIGINT,
    revision BIGINT,
    PRIMARY KEY (id),
    CONSTRAINT one_of_a_kind_a_decision UNIQUE (decision_id, kind)
);
CREATE INDEX outbox_by_chat ON outbox (chat_id);
CREATE INDEX outbox_by_hash ON outbox (chat_hash);
CREATE INDEX outbox_to_send ON outbox (sent_ms, not_before_ms);
CREATE TABLE overridden (
    topic VARCHAR(249) NOT NULL,
    partition INTEGER NOT NULL,
    record_offset BIGINT NOT NULL,
    decided_ms BIGINT NOT NULL,
    actor VARCHAR(128),
    PRIMARY KEY (topic, partition, record_offset)
);
CREATE TABLE preferences (
    person VARCHAR(128) NOT NULL,
    "values" JSON NOT NULL,
    PRIMARY KEY (person)
);
CREATE TABLE answers (
    id INTEGER NOT NULL,
    item_id INTEGER NOT NULL,
    reviewer VARCHAR(128) NOT NULL,
    decision_id VARCHAR(32) NOT NULL,
    outcome VARCHAR(16) NOT NULL,
    category VARCHAR(64),
    reason VARCHAR(64),
    note VARCHAR(1000),
    at_ms BIGINT NOT NULL,
    took_ms BIGINT,
    is_blind BOOLEAN NOT NULL,
    is_final BOOLEAN NOT NULL,
    undone_ms BIGINT,
    batch VARCHAR(32),
    policy VARCHAR(64),
    whole_chat BOOLEAN,
    PRIMARY KEY (id),
    FOREIGN KEY(item_id) REFERENCES items (id) ON DELETE CASCADE,
    UNIQUE (decision_id)
);
CREATE INDEX answers_by_batch ON answers (batch);
CREATE INDEX answers_by_item ON answers (item_id);
CREATE INDEX answers_by_reviewer ON answers (reviewer, at_ms);
CREATE INDEX answers_by_time ON answers (at_ms);
CREATE TABLE appeals (
    id VARCHAR(32) NOT NULL,
    item_id INTEGER NOT NULL,
    verdict_id VARCHAR(64) NOT NULL,
    caller VARCHAR(128) NOT NULL,
    reason VARCHAR(64) NOT NULL,
    note VARCHAR(1000),
    webhook_url VARCHAR(2000),
    created_ms BIGINT NOT NULL,
    answered_ms BIGINT,
    outcome VARCHAR(16),
    decision VARCHAR(16),
    answer_reason VARCHAR(64),
    PRIMARY KEY (id),
    UNIQUE (item_id),
    FOREIGN KEY(item_id) REFERENCES items (id) ON DELETE CASCADE
);
CREATE INDEX appeals_by_caller ON appeals (caller, created_ms);
CREATE TABLE claims (
    item_id INTEGER NOT NULL,
    reviewer VARCHAR(128) NOT NULL,
    token VARCHAR(32) NOT NULL,
    until_ms BIGINT NOT NULL,
    since_ms BIGINT NOT NULL,
    PRIMARY KEY (item_id, reviewer),
    FOREIGN KEY(item_id) REFERENCES items (id) ON DELETE CASCADE
);
CREATE INDEX claims_by_reviewer ON claims (reviewer);
