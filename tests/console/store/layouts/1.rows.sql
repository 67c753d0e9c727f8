-- Rows of a database in use: an item that waits, a report that was refused, one that waits, a count.
INSERT INTO layout (version) VALUES (1);
INSERT INTO items (
    id, kind, queue, state, verdict_id, policies, taxonomy, category, evidence, unevaluated, model, risk, decided_ms,
    arrived_ms, order_ms, n_wanted, n_answers, chat_id
) VALUES (7, 'review', 'default', 'open', 'v-7', '[]', '{}', 'spam', '{}', '[]', '{}', 0.5, 1, 2, 3, 1, 0, 'chat-7');
INSERT INTO outbox (
    id, decision_id, kind, body, created_ms, not_before_ms, n_tries, next_try_ms, refused_ms, error
) VALUES (3, 'd-3', 'feedback', '{}', 1, 1, 1, 0, 5, 'topic unknown');
INSERT INTO outbox (id, decision_id, kind, body, created_ms, not_before_ms, n_tries, next_try_ms)
VALUES (4, 'd-4', 'feedback', '{}', 1, 1, 0, 0);
INSERT INTO counts (hour_ms, what, policy, key, n) VALUES (0, 'letter', '', 'invalid_json', 12);
