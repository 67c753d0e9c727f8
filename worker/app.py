"""Put the worker together from its settings, run it, and take it apart in order."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial

import structlog
from confluent_kafka import Consumer, Producer

from worker.batch_size import BatchSize
from worker.cache.connection import connect
from worker.cache.forged import HighWatermark
from worker.cache.owed_notes import OwedNotes
from worker.cache.owing_cache import OwingCache
from worker.cache.verdict_cache import NoCache, RedisVerdictCache, VerdictCache
from worker.commit_pipeline import CommitPipeline
from worker.kafka.assignment_check import assignment_check_of
from worker.kafka.config import consumer_config, producer_config, transactional_id_of
from worker.kafka.consumer import RecordConsumer
from worker.kafka.fetch_metric import fetch_statistics
from worker.kafka.high_watermark import high_watermark
from worker.kafka.owed_range import OwedRangeReader
from worker.kafka.probe import open_admin, probe
from worker.kafka.publisher import AtLeastOncePublisher, Published, Publisher, TransactionalPublisher
from worker.kafka.reachability import Reachability
from worker.kafka.topic_check import check_topics
from worker.loop import WorkerLoop
from worker.outcome_encoding import OutputTopics
from worker.process.health import HealthServer
from worker.process.lifecycle import Lifecycle
from worker.process.logs import librdkafka_logger
from worker.process.metrics import Metrics
from worker.reload.assembly import live_predictor
from worker.reload.watcher import ReloadWatcher
from worker.settings.kafka import Delivery
from worker.settings.worker import WorkerSettings
from worker.shadow.assembly import shadow_topics, start_shadow

log = structlog.get_logger()


def run_worker(settings: WorkerSettings, lifecycle: Lifecycle) -> None:
    """Run until the lifecycle says stop.

    Order of the end: the loop finishes the batch in hand and waits for its commit; the health port closes, which has
    answered "stopping" until then; the consumer leaves the group, so that others take over at once; then the producer,
    the cache, which tries once more to pay what it owes, the watchers and the shadow close.

    Raises:
        Fatal: Kafka cannot be worked with.
        BundleError, PolicyError: the model or the policy is refused.
    """
    with ExitStack() as stack:
        metrics = Metrics()
        switch, watcher = live_predictor(settings.model, metrics)
        admin = open_admin(settings.kafka)
        reachability = Reachability(
            exit_after_s=settings.kafka.unreachable_exit_s,
            metrics=metrics,
            probe=lambda: probe(settings.kafka),
        )
        topics = check_topics(admin, settings.kafka, optional=shadow_topics(settings))
        shadow = start_shadow(settings, metrics, stack)
        follow_files([watcher, *([shadow.watcher] if shadow else [])], lifecycle, stack)
        commits = CommitPipeline(background=settings.kafka.delivery is Delivery.EXACTLY_ONCE)
        client = Consumer(
            consumer_config(settings.kafka)
            | fetch_statistics(settings.kafka, metrics)
            | {"error_cb": reachability.on_error},
            logger=librdkafka_logger(),
        )
        cache = make_cache(settings, metrics, partial(high_watermark, admin))
        stack.callback(cache.close)
        notes = OwedNotes(cache) if isinstance(cache, OwingCache) else None
        publisher = make_publisher(
            settings, client, topics, reachability, published=partial(metrics.observe_stage, "publish")
        )
        stack.callback(publisher.close)
        consumer = RecordConsumer(
            client,
            settings.kafka,
            metrics,
            reachability,
            commits.settle,
            assignment_check=assignment_check_of(admin, settings.kafka),
            notes=notes,
        )
        stack.callback(consumer.close)
        stack.callback(commits.close)
        serve_health(
            settings=settings,
            stack=stack,
            lifecycle=lifecycle,
            consumer=consumer,
            reachability=reachability,
            metrics=metrics,
        )
        loop = WorkerLoop(
            consumer=consumer,
            cache=cache,
            predictor=switch.take,
            publisher=publisher,
            commits=commits,
            topics=topics,
            limits=settings.codec,
            batch_size=BatchSize(settings.batch),
            max_batch_bytes=settings.batch.max_bytes,
            metrics=metrics,
            stopping=lifecycle.stopping,
            beat=lifecycle.beat,
            on_committed=shadow.on_committed if shadow else None,
            notes=notes,
        )
        log.info(
            "worker_started", model=switch.take().builder.model.model_dump(), delivery=settings.kafka.delivery.value
        )
        try:
            loop.run()
        finally:
            lifecycle.must_end_in_time()
            log.info("worker_stopping")
    log.info("worker_stopped")


def follow_files(watchers: Sequence[ReloadWatcher], lifecycle: Lifecycle, stack: ExitStack) -> None:
    """Take over new bundles and policies from now on, and at once on SIGHUP, until the stack unwinds."""
    for watcher in watchers:
        stack.callback(watcher.close)
        watcher.start()

    def ask() -> None:
        for watcher in watchers:
            watcher.ask()

    lifecycle.on_hangup(ask)


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
    consumer: Consumer,
    topics: OutputTopics,
    reachability: Reachability,
    *,
    published: Published = lambda _duration_s, _n_messages: None,
) -> Publisher:
    """Return the publisher that the delivery setting asks for, initialised."""
    kafka = settings.kafka
    transactional_id = transactional_id_of(kafka)
    config = producer_config(
        kafka,
        transactional_id=transactional_id,
        max_message_bytes=max(topics.verdict_max_bytes, topics.dead_letter_max_bytes),
    ) | {"error_cb": reachability.on_error}

    def make_producer() -> Producer:
        return Producer(config, logger=librdkafka_logger())

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
    )


def serve_health(
    *,
    settings: WorkerSettings,
    stack: ExitStack,
    lifecycle: Lifecycle,
    consumer: RecordConsumer,
    reachability: Reachability,
    metrics: Metrics,
) -> None:
    """Open the health port, where one is set, until the stack unwinds."""
    if not settings.http.port:
        return

    def live() -> str | None:
        silent_s = lifecycle.silent_s
        limit_s = settings.http.stalled_after_s
        return f"the loop has not come round for {silent_s:.0f} s" if silent_s > limit_s else None

    def ready() -> str | None:
        if lifecycle.stopping.is_set():
            return "stopping"
        if not reachability.reachable:
            return "no Kafka broker is reachable"
        return None if consumer.joined else "the consumer group has not assigned partitions yet"

    server = HealthServer(
        host=settings.http.host,
        port=settings.http.port,
        live=live,
        ready=ready,
        registry=metrics.registry,
    )
    stack.callback(server.close)
    log.info("health_listening", host=settings.http.host, port=server.port)
