"""From the database to the topics and to callers: what people decided, once and in order."""
