"""Settings to librdkafka properties. Pure; every value that differs from librdkafka's default says why."""

import socket
import uuid
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from worker.settings.kafka import Delivery, GroupProtocol, KafkaSettings
from worker.settings.kafka_connection import KafkaConnection

FALLBACK_MAX_MESSAGE_BYTES: Final = 1_000_000
"""What a topic is assumed to accept where its configuration may not be read (Kafka's default is 1,048,588)."""

_LARGEST_BATCH_BYTES: Final = 1_000_000
"""The client's own limit, below the default one of a topic."""
_BATCH_OVERHEAD_BYTES: Final = 20_000
"""Room for record and batch headers below a topic's limit."""


def client_config(settings: KafkaSettings) -> dict[str, Any]:
    """Return what consumer, producer and admin client share."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": f"verdictstream-{socket.gethostname()}",
        "security.protocol": settings.security_protocol,
        # Reconnect within a second after a broker comes back; the default waits up to ten.
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "socket.keepalive.enable": True,
        # Answers are small and latency matters more than the number of packets.
        "socket.nagle.disable": True,
    }
    return config | _security(settings)


def _security(settings: KafkaConnection) -> dict[str, str]:
    """Return what proves the worker to the brokers and the brokers to the worker."""
    given: dict[str, str | Path | SecretStr | None] = {
        "sasl.mechanism": settings.sasl_mechanism,
        "sasl.username": settings.sasl_username,
        "sasl.password": settings.sasl_password,
        "sasl.oauthbearer.token.endpoint.url": settings.oauth_token_url,
        "sasl.oauthbearer.client.id": settings.oauth_client_id,
        "sasl.oauthbearer.client.secret": settings.oauth_client_secret,
        "sasl.oauthbearer.scope": settings.oauth_scope,
        "https.ca.location": settings.oauth_ca_location,
        "ssl.ca.location": settings.ssl_ca_location,
        "ssl.certificate.location": settings.ssl_certificate_location,
        "ssl.key.location": settings.ssl_key_location,
        "ssl.key.password": settings.ssl_key_password,
        # The client fetches and renews its tokens by itself, in a thread of its own.
        "sasl.oauthbearer.method": "oidc" if settings.sasl_mechanism == "OAUTHBEARER" else None,
    }
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
        if value is not None
    }


def consumer_config(settings: KafkaSettings) -> dict[str, Any]:
    """Return the consumer's properties."""
    return (
        client_config(settings)
        | group_config(settings)
        | {
            "group.id": settings.group_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            # Start offsets are chosen at assignment; an offset out of range is an error, never a silent jump.
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "max.poll.interval.ms": _ms(settings.max_poll_interval_s),
            "queued.max.messages.kbytes": settings.prefetch_max_bytes // 1_024,
            "fetch.max.bytes": settings.prefetch_max_bytes,
            # The client unpacks all of a fetch at once, and repeated bytes pack a thousandfold.
            "max.partition.fetch.bytes": settings.partition_fetch_max_bytes,
            # A full prefetch queue is looked at again after this; the default of a second would starve the loop.
            "fetch.queue.backoff.ms": 10,
            "fetch.error.backoff.ms": 100,
            # Topic changes (new partitions, leaders) are seen within seconds.
            "topic.metadata.refresh.interval.ms": 30_000,
        }
    )


def group_config(settings: KafkaSettings) -> dict[str, str | int]:
    """Return what decides on membership and rack; with the consumer protocol sessions and assignors are the broker's.

    librdkafka refuses the classic protocol's properties beside `group.protocol=consumer`.
    """
    optional = {
        "group.instance.id": settings.group_instance_id,
        "client.rack": settings.client_rack or None,
        "group.remote.assignor": settings.group_remote_assignor,
    }
    named: dict[str, str | int] = {name: value for name, value in optional.items() if value is not None}
    if settings.group_protocol is GroupProtocol.CONSUMER:
        return named | {"group.protocol": "consumer"}
    return named | {
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": _ms(settings.session_timeout_s),
        # Members learn of a rebalance by their heartbeats; with the default of 3 s a moving partition pauses so long.
        "heartbeat.interval.ms": _ms(min(1.0, settings.session_timeout_s / 3)),
    }


def unused_settings(settings: KafkaSettings) -> dict[str, str]:
    """Return the names of settings that the group protocol leaves unused, with where the broker has them instead."""
    if settings.group_protocol is GroupProtocol.CLASSIC:
        return {}
    return {"session_timeout_s": "the broker's group.consumer.session.timeout.ms"}


def producer_config(
    settings: KafkaSettings,
    *,
    transactional_id: str | None,
    max_message_bytes: int,
    min_message_bytes: int = _LARGEST_BATCH_BYTES,
) -> dict[str, Any]:
    """Return the producer's properties.

    Args:
        settings: Kafka settings.
        transactional_id: None for at-least-once delivery.
        max_message_bytes: The largest message that any of the output topics accepts.
        min_message_bytes: What each of them accepts at least.
    """
    timeout_ms = _ms(settings.transaction_timeout_s)
    config = client_config(settings) | {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": settings.compression.value,
        # Java's default partitioner, so that a chat's verdicts land where a Java producer would put them.
        "partitioner": "murmur2_random",
        # The commit flushes at once, so that lingering only lets a batch of verdicts travel together.
        "linger.ms": 5,
        "message.max.bytes": max_message_bytes + _BATCH_OVERHEAD_BYTES,
        # A topic's limit holds for a whole batch of messages. A codec makes what it cannot pack a little larger.
        "batch.size": min(_LARGEST_BATCH_BYTES, max(1, min_message_bytes * 9 // 10)),
        "queue.buffering.max.kbytes": 65_536,
        "delivery.timeout.ms": timeout_ms,
    }
    if transactional_id is not None:
        config |= {"transactional.id": transactional_id, "transaction.timeout.ms": timeout_ms}
    return config


def best_effort_config(settings: KafkaSettings) -> dict[str, Any]:
    """Return the properties of a producer whose messages nobody waits for."""
    return client_config(settings) | {
        "acks": "all",
        "compression.type": settings.compression.value,
        # As the live verdicts: what belongs to one chat lies in the partition with the same number.
        "partitioner": "murmur2_random",
        # Nobody waits for them, so they travel in larger requests.
        "linger.ms": 100,
        "queue.buffering.max.messages": 10_000,
        "queue.buffering.max.kbytes": 16_384,
        "delivery.timeout.ms": 30_000,
    }


def transactional_id_of(settings: KafkaSettings) -> str | None:
    """Return the transactional id of this process; None where delivery is at-least-once."""
    if settings.delivery is Delivery.AT_LEAST_ONCE:
        return None
    return settings.transactional_id or f"{settings.group_id}.{socket.gethostname()}.{uuid.uuid4().hex[:8]}"


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
