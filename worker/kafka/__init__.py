"""Kafka: what of the worker speaks to the brokers."""
