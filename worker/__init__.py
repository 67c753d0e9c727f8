"""The streaming worker: chat events in, verdicts out, in Kafka transactions."""
