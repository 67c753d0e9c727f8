"""`GET /v1/verdicts/{chat_id}`."""
