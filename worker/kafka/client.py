"""Open the clients of the Kafka library: their properties, their error callbacks, and a way out for their log lines.

The wings name the types below and call no client themselves, apart from what this room offers.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from confluent_kafka import Consumer, KafkaError, Producer
from confluent_kafka.admin import AdminClient

from worker.kafka.config import best_effort_config, client_config, consumer_config, producer_config
from worker.process.logs import librdkafka_logger
from worker.settings.kafka import KafkaSettings

KafkaConsumer: TypeAlias = Consumer
KafkaAdmin: TypeAlias = AdminClient

OnError = Callable[[KafkaError], None]
"""Told of a client's connections; may be called in any thread and must not raise."""


def open_group_consumer(
    settings: KafkaSettings,
    on_error: OnError,
    *,
    statistics: Mapping[str, Any] | None = None,
    reports_ends: bool = False,
) -> KafkaConsumer:
    """Return a consumer that can join the group of the settings.

    Args:
        settings: Kafka settings.
        on_error: Told of its connections.
        statistics: Properties of `worker.kafka.fetch_metric`.
        reports_ends: Whether it says where a partition ends.
    """
    config = consumer_config(settings) | dict(statistics or {}) | {"error_cb": on_error}
    return _consumer(config | ({"enable.partition.eof": True} if reports_ends else {}))


def open_range_reader(config: Mapping[str, Any]) -> KafkaConsumer:
    """Return a consumer for partitions that are assigned by hand, up to their ends.

    Args:
        config: `worker.kafka.config.consumer_config`, changed where the reader needs it.
    """
    return _consumer({**config, "enable.partition.eof": True, "auto.offset.reset": "earliest"})


def open_position_reader(config: Mapping[str, Any]) -> KafkaConsumer:
    """Return a consumer as `open_range_reader` does, to which an offset out of range is an error and no jump."""
    return _consumer({**config, "enable.partition.eof": True, "auto.offset.reset": "error"})


def open_lookup_consumer(settings: KafkaSettings) -> KafkaConsumer:
    """Return a consumer that only asks: for limits, and for the group that a transaction's offsets are committed to."""
    return _consumer(consumer_config(settings))


def _consumer(config: dict[str, Any]) -> KafkaConsumer:
    return Consumer(config, logger=librdkafka_logger())


def open_producer(
    settings: KafkaSettings,
    *,
    transactional_id: str | None,
    max_message_bytes: int,
    min_message_bytes: int,
    on_error: OnError | None = None,
) -> Producer:
    """Return an idempotent producer; see `worker.kafka.config.producer_config`."""
    config = producer_config(
        settings,
        transactional_id=transactional_id,
        max_message_bytes=max_message_bytes,
        min_message_bytes=min_message_bytes,
    )
    return Producer(config | ({} if on_error is None else {"error_cb": on_error}), logger=librdkafka_logger())


def open_best_effort_producer(settings: KafkaSettings) -> Producer:
    """Return a producer whose messages nobody waits for; see `worker.kafka.best_effort`."""
    return Producer(best_effort_config(settings), logger=librdkafka_logger())


def open_admin_client(settings: KafkaSettings, on_error: OnError | None = None) -> KafkaAdmin:
    """Return an admin client that may not have reached a broker yet; `worker.kafka.probe` returns one that has."""
    config = client_config(settings) | ({} if on_error is None else {"error_cb": on_error})
    return AdminClient(config, logger=librdkafka_logger())
