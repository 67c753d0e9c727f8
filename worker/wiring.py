"""Parts that the live worker and its replays put together in the same way: cache, publisher and health port."""

from contextlib import ExitStack
from functools import partial
from typing import Final

import structlog

from worker.cache.connection import connect
from worker.cache.forged import HighWatermark
from worker.cache.owing_cache import OwingCache
from worker.cache.verdict_cache import NoCache, RedisVerdictCache, VerdictCache
from worker.kafka.client import KafkaConsumer, open_producer
from worker.kafka.config import transactional_id_of
from worker.kafka.consumer import RecordConsumer
from worker.kafka.owed_range import OwedRangeReader
from worker.kafka.publisher import AtLeastOncePublisher, Published, Publisher, TransactionalPublisher
from worker.kafka.reachability import Reachability
from worker.kafka.retry import Waiting, unheard
from worker.outcome_encoding import OutputTopics
from worker.process.certificates import CertificateEnds, can_be_read
from worker.process.health import Check, HealthServer
from worker.process.lifecycle import Lifecycle
from worker.process.metrics import Metrics
from worker.process.periodic import Periodic
from worker.process.probes import Probes
from worker.settings.worker import WorkerSettings

log = structlog.get_logger()

CERTIFICATES_EVERY_S: Final = 10.0
"""How soon a certificate that has changed on disk shows its new end."""


def make_cache(settings: WorkerSettings, metrics: Metrics, high_watermark: HighWatermark | None = None) -> VerdictCache:
    """Return the verdict cache, or its stand-in where no Redis is set."""
    if settings.redis.url is None:
        log.warning("cache_off", remedy="set MODERATION_REDIS__URL to keep verdicts")
        return NoCache()
    inner = RedisVerdictCache(connect(settings.redis), settings.redis, metrics, high_watermark)
    cache = OwingCache(inner, settings.redis, metrics, OwedRangeReader(settings.kafka, settings.codec))
    # A Redis that refuses the worker says so at its start and not with the first event.
    cache.get_many([""])
    return cache


def make_publisher(
    settings: WorkerSettings,
    consumer: KafkaConsumer,
    topics: OutputTopics,
    reachability: Reachability,
    *,
    published: Published = lambda _duration_s, _n_messages: None,
    waiting: Waiting = unheard,
) -> Publisher:
    """Return the publisher that the delivery setting asks for, initialised."""
    kafka = settings.kafka
    transactional_id = transactional_id_of(kafka)
    make_producer = partial(
        open_producer,
        kafka,
        transactional_id=transactional_id,
        max_message_bytes=max(topics.verdict_max_bytes, topics.dead_letter_max_bytes),
        min_message_bytes=min(topics.verdict_max_bytes, topics.dead_letter_max_bytes),
        on_error=reachability.on_error,
    )
    if transactional_id is None:
        return AtLeastOncePublisher(
            make_producer(), consumer, request_timeout_s=kafka.request_timeout_s, published=published
        )
    return TransactionalPublisher(
        make_producer,
        transaction_timeout_s=kafka.transaction_timeout_s,
        request_timeout_s=kafka.request_timeout_s,
        unreachable_exit_s=kafka.unreachable_exit_s,
        published=published,
        name=transactional_id,
        waiting=waiting,
    )


def serve_probes(settings: WorkerSettings, stack: ExitStack, lifecycle: Lifecycle, metrics: Metrics) -> Probes:
    """Open the health port, where one is set, until the stack unwinds; it answers "starting" until told otherwise."""
    probes = Probes(lifecycle, stalled_after_s=settings.http.stalled_after_s)
    if settings.http.port:
        server = HealthServer(
            host=settings.http.host,
            port=settings.http.port,
            live=probes.live,
            ready=probes.ready,
            registry=metrics.registry,
        )
        stack.callback(server.close)
        log.info("health_listening", host=settings.http.host, port=server.port)
    return probes


def readiness(
    settings: WorkerSettings, consumer: RecordConsumer, reachability: Reachability, metrics: Metrics
) -> list[Check]:
    """Return what a running worker needs to be ready."""
    limit_s = settings.http.uncommitted_after_s
    metrics.uncommitted_s.set_function(lambda: consumer.uncommitted_s)

    def reaches_kafka() -> str | None:
        return None if reachability.reachable else "no Kafka broker is reachable"

    def has_joined() -> str | None:
        return None if consumer.joined else "the consumer group has not assigned partitions yet"

    def commits() -> str | None:
        waited_s = consumer.uncommitted_s
        return f"nothing could be committed for {waited_s:.0f} s" if waited_s > limit_s else None

    return [reaches_kafka, has_joined, commits]


def show_certificate_ends(settings: WorkerSettings, metrics: Metrics, stack: ExitStack) -> None:
    """Show when the certificates end that the settings name, until the stack unwinds."""
    certificates = {
        "kafka_certificate": settings.kafka.ssl_certificate_location,
        "kafka_ca": settings.kafka.ssl_ca_location,
        "kafka_oauth_ca": settings.kafka.oauth_ca_location,
        "redis_certificate": settings.redis.ssl_certificate_location,
        "redis_ca": settings.redis.ssl_ca_location,
    }
    # A folder of authorities is the system's, and has no end of its own.
    files = {role: path for role, path in certificates.items() if path is not None and path.is_file()}
    if files and can_be_read():
        look = CertificateEnds(files, metrics.certificate_expiry_s).look
        stack.callback(Periodic("certificates", CERTIFICATES_EVERY_S, [look]).close)
    elif files:
        log.warning(
            "certificate_ends_unknown", remedy="install the extra `signing`, or watch the certificates by other means"
        )
