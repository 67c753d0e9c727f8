"""Put the worker together from its settings, run it, and take it apart in order."""

from contextlib import ExitStack

import structlog
from confluent_kafka import Consumer, Producer
from confluent_kafka.admin import AdminClient

from model import Bundle, Classifier, available_cpus, load_bundle, load_policy
from schemas import PolicyRef
from worker.batch_size import BatchSize
from worker.cache import NoCache, RedisVerdictCache, VerdictCache, connect
from worker.commit_pipeline import CommitPipeline
from worker.consumer import RecordConsumer
from worker.fetch_sources import fetch_statistics
from worker.health import HealthServer
from worker.kafka_config import client_config, consumer_config, producer_config, transactional_id_of
from worker.lifecycle import Lifecycle
from worker.logs import librdkafka_logger
from worker.loop import WorkerLoop
from worker.messages import OutputTopics
from worker.metrics import Metrics
from worker.publisher import AtLeastOncePublisher, Publisher, TransactionalPublisher
from worker.reachability import Reachability
from worker.settings import Delivery, WorkerSettings
from worker.topic_check import check_topics
from worker.verdict_builder import VerdictBuilder

log = structlog.get_logger()


def run_worker(settings: WorkerSettings, lifecycle: Lifecycle) -> None:
    """Run until the lifecycle says stop.

    Order of the end: the loop finishes the batch in hand and waits for its commit; the consumer leaves the group, so
    that others take over at once; then the producer, the cache and the health port close.

    Raises:
        Fatal: Kafka cannot be worked with.
        BundleError, PolicyError: the model or the policy is refused.
    """
    with ExitStack() as stack:
        metrics = Metrics()
        bundle = load_bundle(settings.model.path)
        classifier = make_classifier(settings, bundle, metrics)
        admin = AdminClient(client_config(settings.kafka), logger=librdkafka_logger())
        reachability = Reachability(
            exit_after_s=settings.kafka.unreachable_exit_s,
            metrics=metrics,
            probe=lambda: admin.list_topics(timeout=1.0),
        )
        topics = check_topics(admin, settings.kafka)
        cache = make_cache(settings, metrics)
        stack.callback(cache.close)
        commits = CommitPipeline(background=settings.kafka.delivery is Delivery.EXACTLY_ONCE)
        client = Consumer(
            consumer_config(settings.kafka)
            | fetch_statistics(settings.kafka, metrics)
            | {"error_cb": reachability.on_error},
            logger=librdkafka_logger(),
        )
        publisher = make_publisher(settings, client, topics, reachability)
        stack.callback(publisher.close)
        consumer = RecordConsumer(client, settings.kafka, metrics, reachability, commits.settle)
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
            classifier=classifier,
            publisher=publisher,
            commits=commits,
            builder=VerdictBuilder(
                bundle.ref,
                PolicyRef(name=classifier.policy.name, version=classifier.policy.version),
            ),
            topics=topics,
            limits=settings.codec,
            batch_size=BatchSize(settings.batch),
            max_batch_bytes=settings.batch.max_bytes,
            metrics=metrics,
            stopping=lifecycle.stopping,
            beat=lifecycle.beat,
        )
        log.info("worker_started", model=bundle.ref.model_dump(), delivery=settings.kafka.delivery.value)
        try:
            loop.run()
        finally:
            lifecycle.must_end_in_time()
            log.info("worker_stopping")
    log.info("worker_stopped")


def make_classifier(settings: WorkerSettings, bundle: Bundle, metrics: Metrics) -> Classifier:
    """Return the classifier of this bundle, warmed up, under the policy of the settings."""
    policy = load_policy(settings.model.policy_path)
    classifier = Classifier(
        bundle,
        policy,
        n_threads=settings.model.n_threads or available_cpus(),
        max_padded_tokens=settings.model.max_padded_tokens,
        max_rows=settings.model.max_rows,
    )
    classifier.warm_up()
    ref = bundle.ref
    metrics.model_info.labels(ref.name, ref.version, ref.digest, f"{policy.name} {policy.version}").set(1)
    return classifier


def make_cache(settings: WorkerSettings, metrics: Metrics) -> VerdictCache:
    """Return the verdict cache, or its stand-in where no Redis is set."""
    if settings.redis.url is None:
        log.warning("cache_off", remedy="set MODERATION_REDIS__URL to keep verdicts")
        return NoCache()
    client = connect(settings.redis.url.get_secret_value(), timeout_s=settings.redis.timeout_s)
    return RedisVerdictCache(client, settings.redis, metrics)


def make_publisher(
    settings: WorkerSettings, consumer: Consumer, topics: OutputTopics, reachability: Reachability
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
        return AtLeastOncePublisher(make_producer(), consumer, request_timeout_s=kafka.request_timeout_s)
    return TransactionalPublisher(
        make_producer,
        transaction_timeout_s=kafka.transaction_timeout_s,
        request_timeout_s=kafka.request_timeout_s,
        unreachable_exit_s=kafka.unreachable_exit_s,
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
