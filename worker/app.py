"""Put the worker together from its settings, run it, and take it apart in order."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial

import structlog

from model import BundleError, PolicyError
from worker.batch_size import BatchSize
from worker.cache.owed_notes import OwedNotes
from worker.cache.owing_cache import OwingCache
from worker.commit_pipeline import CommitPipeline
from worker.conversation.assembly import conversations, refuse_unheld, state_uses
from worker.erase.source import check_list_is_kept, erasure_sources, erasure_topics
from worker.errors import Fatal
from worker.kafka.assignment_check import assignment_check_of
from worker.kafka.client import open_group_consumer
from worker.kafka.consumer import RecordConsumer
from worker.kafka.fetch_metric import fetch_statistics
from worker.kafka.high_watermark import high_watermark
from worker.kafka.partition_ends import ends_of
from worker.kafka.probe import open_admin, probe
from worker.kafka.reachability import Reachability
from worker.kafka.topic_check import check_topics
from worker.kafka.unread import Unread
from worker.lists.watched import follow_lists
from worker.loop import WorkerLoop
from worker.overrides.assembly import override_topics, read_overrides
from worker.predictor import Predictor
from worker.process.lifecycle import EXIT_FATAL, Lifecycle
from worker.process.metrics import Metrics
from worker.process.probes import Probes
from worker.process.tracing import open_tracing
from worker.reload.assembly import limit_verdicts, live_predictor, shadow_predictor
from worker.reload.policy_table import policies_topics, publish_policies
from worker.reload.watcher import ReloadWatcher
from worker.reviews.assembly import review_sources, review_topics, with_reviews
from worker.settings.kafka import Delivery
from worker.settings.model import ModelSettings
from worker.settings.worker import WorkerSettings
from worker.shadow.assembly import shadow_topics, start_shadow
from worker.wiring import make_cache, make_publisher, readiness, serve_probes, show_certificate_ends

log = structlog.get_logger()


def run_worker(settings: WorkerSettings, lifecycle: Lifecycle) -> None:
    """Run until the lifecycle says stop.

    The health port opens before anything else and closes last, so that a start that waits or fails can be seen. Order
    of the end: the loop finishes the batch in hand and waits for its commit; the consumer leaves the group, so that
    others take over at once; then the producer, the cache, which tries once more to pay what it owes, the watchers and
    the shadow close. Before a fatal exit the port stays for a while.

    Raises:
        Fatal: Kafka cannot be worked with; it is logged.
        BundleError, PolicyError: the model or the policy is refused; the same.
    """
    with ExitStack() as stack:
        metrics = Metrics()
        probes = serve_probes(settings, stack, lifecycle, metrics)
        show_certificate_ends(settings, metrics, stack)
        try:
            _run_until_stopped(settings, lifecycle, metrics, probes)
        except (Fatal, BundleError, PolicyError) as error:
            # Its text says it all.
            log.error("worker_fatal", error=str(error), exit_code=EXIT_FATAL)  # noqa: TRY400
            probes.failed(str(error))
            lifecycle.linger(settings.http.exit_linger_s if settings.http.port else 0.0)
            raise
    log.info("worker_stopped")


def _run_until_stopped(settings: WorkerSettings, lifecycle: Lifecycle, metrics: Metrics, probes: Probes) -> None:
    with ExitStack() as stack:
        tracing = open_tracing(settings.tracing)
        stack.callback(tracing.close)
        probes.waiting("loading the bundle")
        switch, watcher = live_predictor(
            settings.model,
            metrics,
            accepts=partial(refuse_unheld, settings.kafka),
            may_hold=settings.kafka.state_topic is not None,
        )
        probes.waiting(f"connecting to Kafka at {settings.kafka.bootstrap_servers}")
        admin = open_admin(settings.kafka)
        reachability = Reachability(
            exit_after_s=settings.kafka.unreachable_exit_s,
            metrics=metrics,
            probe=lambda: probe(settings.kafka),
        )
        optional = {**shadow_topics(settings), **policies_topics(settings.kafka)}
        others = {
            **state_uses(settings.kafka),
            **override_topics(settings),
            **review_topics(settings.kafka),
            **erasure_topics(settings.kafka),
        }
        topics = check_topics(admin, settings.kafka, others=others, optional=optional, waiting=probes.waiting)
        topics = with_reviews(topics, admin, settings.kafka, probes.waiting)
        check_list_is_kept(settings.kafka, admin)
        limit_verdicts(settings.model, switch.take(), watcher, topics)
        reachability.seen()
        watchers = [watcher]
        on_committed = start_shadow(settings, metrics, stack, follow=partial(_follow_shadow, watchers, metrics))
        follow_files(watchers, lifecycle, stack)
        publish_policies(settings.kafka, admin, switch.newest, metrics, stack)
        commits = CommitPipeline(background=settings.kafka.delivery is Delivery.EXACTLY_ONCE)
        client = open_group_consumer(
            settings.kafka,
            reachability.on_error,
            statistics=fetch_statistics(settings.kafka, metrics),
            reports_ends=True,
        )
        cache = make_cache(settings, metrics, partial(high_watermark, admin))
        stack.callback(cache.close)
        probes.waiting("reading what people decided")
        overrides = read_overrides(settings, admin, cache, metrics, stack)
        people = None if overrides is None else overrides.source
        lists = follow_lists(settings, metrics, stack)
        notes = OwedNotes(cache) if isinstance(cache, OwingCache) else None
        publisher = make_publisher(
            settings,
            client,
            topics,
            reachability,
            published=partial(metrics.observe_stage, "publish"),
            waiting=probes.waiting,
        )
        stack.callback(publisher.close)
        held = conversations(settings.kafka, admin, metrics, probes.waiting)
        consumer = RecordConsumer(
            client,
            settings.kafka,
            metrics,
            reachability,
            commits.settle,
            assignment_check=assignment_check_of(admin, settings.kafka),
            notes=notes,
            unread=Unread(metrics, unreadable_after_s=settings.kafka.unreadable_after_s, ask=ends_of(admin)),
            waiting=probes.waiting,
            followers=held,
        )
        stack.callback(consumer.close)
        stack.callback(commits.close)
        probes.serving(readiness(settings, consumer, reachability, metrics))
        loop = WorkerLoop(
            consumer=consumer,
            cache=cache,
            predictor=switch.take,
            publisher=publisher,
            commits=commits,
            topics=topics,
            limits=settings.codec,
            value_format=settings.kafka.value_format,
            batch_size=BatchSize(settings.batch),
            max_batch_bytes=settings.batch.max_bytes,
            metrics=metrics,
            stopping=lifecycle.stopping,
            beat=lifecycle.beat,
            on_committed=on_committed,
            notes=notes,
            sources=[
                *held,
                *([] if lists is None else [lists]),
                *([] if people is None else [people]),
                *review_sources(settings.kafka, metrics),
                *erasure_sources(settings),
            ],
            answers=people,
            tracing=tracing,
        )
        if overrides is not None:
            overrides.follower.start(consumer.owns)
        log.info("worker_started", **switch.take().logged(), delivery=settings.kafka.delivery.value)
        try:
            loop.run()
        finally:
            lifecycle.must_end_in_time()
            log.info("worker_stopping")


def _follow_shadow(
    watchers: list[ReloadWatcher], metrics: Metrics, model: ModelSettings, niceness: int
) -> Callable[[], Predictor | None]:
    """Have the shadow's files followed too; return what gives its predictor."""
    switch, watcher = shadow_predictor(model, metrics, niceness=niceness)
    watchers.append(watcher)
    return switch.take


def follow_files(watchers: Sequence[ReloadWatcher], lifecycle: Lifecycle, stack: ExitStack) -> None:
    """Take over new bundles and policies from now on, and at once on SIGHUP, until the stack unwinds."""
    for watcher in watchers:
        stack.callback(watcher.close)
        watcher.start()

    def ask() -> None:
        for watcher in watchers:
            watcher.ask()

    lifecycle.on_hangup(ask)
