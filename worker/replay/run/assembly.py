"""Put the parts of one replay process together: the live worker's own loop, publisher, cache and classifier."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import structlog
from rich.console import Console

from worker.batch_size import BatchSize
from worker.cache.verdict_cache import VerdictCache
from worker.commit_pipeline import CommitPipeline
from worker.errors import Fatal
from worker.kafka.assignment_check import assignment_check_of
from worker.kafka.client import KafkaAdmin, open_group_consumer
from worker.kafka.control_topic import check_is_compacted
from worker.kafka.probe import open_admin, probe
from worker.kafka.publisher import TransactionalPublisher
from worker.kafka.reachability import Reachability
from worker.kafka.retry import Waiting
from worker.kafka.topic_check import READ, WRITE, check_topics
from worker.lists.watched import follow_lists
from worker.loop import WorkerLoop
from worker.outcome_encoding import OutputTopics
from worker.predictor import Loaded, build_predictor, show_calibration
from worker.process.lifecycle import Lifecycle
from worker.process.metrics import Metrics
from worker.replay.plan.planning import Choices, build_request, replay_settings, writes_cache
from worker.replay.plan.replay_plan import ReplayPlan
from worker.replay.plan.request import ReplayRequest
from worker.replay.plan.selection import Selection
from worker.replay.run.group_state import GroupState, read_group_state
from worker.replay.run.monitor import Monitor, display_for
from worker.replay.run.progress import Progress
from worker.replay.run.publisher import ChangeFinder, ReplayPublisher
from worker.replay.run.range_consumer import RangeConsumer
from worker.replay.run.replay_cache import ReplayCache
from worker.replay.run.throttle import LagGuard, RateLimit
from worker.settings.worker import WorkerSettings
from worker.wiring import make_cache, make_publisher, readiness, serve_probes, show_certificate_ends

log = structlog.get_logger()


@dataclass(frozen=True)
class ReplaySetup:
    """What all parts of one replay process share."""

    live: WorkerSettings
    settings: WorkerSettings
    choices: Choices
    loaded: Loaded
    request: ReplayRequest
    selection: Selection
    admin: KafkaAdmin
    topics: OutputTopics
    lifecycle: Lifecycle
    console: Console

    @property
    def timeout_s(self) -> float:
        """Longest wait for one answer of the brokers."""
        return self.settings.kafka.request_timeout_s

    def look(self, plan: ReplayPlan) -> GroupState:
        """Read how far the replay is."""
        return read_group_state(self.admin, self.settings.kafka.group_id, plan, timeout_s=self.timeout_s)


def _as_written(cache: VerdictCache, setup: ReplaySetup) -> VerdictCache:
    """Return the cache as the replay may write it."""
    is_written = writes_cache(setup.live, setup.choices)
    return ReplayCache(cache, setup.settings.redis.ttl_s if is_written else None)


def prepare(live: WorkerSettings, choices: Choices, lifecycle: Lifecycle, console: Console) -> ReplaySetup:
    """Load the model and check the topics.

    Raises:
        Fatal: Kafka does not answer, or a topic is missing.
        BundleError, PolicyError: the model or the policy is refused.
        SettingsError: the options contradict each other.
    """
    settings = replay_settings(live, choices)
    # The policies that the live workers have.
    loaded = Loaded.read(settings.model, may_hold=live.kafka.state_topic is not None)
    for file_name, fault in loaded.folder.refused.items():
        log.error("policy_refused", file=file_name, error=fault)
    request = build_request(live, settings, choices, loaded.bundle, loaded.policies)
    admin = open_admin(settings.kafka)
    others = {settings.kafka.replay_topic: READ | WRITE}
    if request.changes_topic is not None:
        others |= {request.changes_topic: WRITE, live.kafka.verdict_topic: READ}
    topics = check_topics(admin, settings.kafka, inputs=request.topics, others=others)
    check_is_compacted(admin, settings.kafka.replay_topic, timeout_s=settings.kafka.request_timeout_s)
    selection = Selection.of(request, choices.chat_ids, settings.codec, settings.kafka.value_format)
    return ReplaySetup(live, settings, choices, loaded, request, selection, admin, topics, lifecycle, console)


@dataclass(frozen=True)
class Extras:
    """What a replay adds to the live worker's loop."""

    comparison: ChangeFinder | None
    rate: RateLimit | None
    guard: LagGuard | None
    on_done: Callable[[], None]
    """Called when every partition of the replay has reached its end."""


@dataclass(frozen=True)
class _KafkaSide:
    consumer: RangeConsumer
    publisher: ReplayPublisher
    commits: CommitPipeline
    progress: Progress


def build_loop(setup: ReplaySetup, plan: ReplayPlan, stack: ExitStack, extras: Extras) -> WorkerLoop:
    """Return the loop of this process; what it opens closes with the stack.

    Raises:
        Fatal: Kafka cannot be worked with.
    """
    settings, lifecycle = setup.settings, setup.lifecycle
    metrics = Metrics()
    probes = serve_probes(settings, stack, lifecycle, metrics)
    show_certificate_ends(settings, metrics, stack)
    # The policy of the plan, whatever the file says by now.
    predictor = build_predictor(setup.loaded, settings.model, replay_id=plan.replay_id)
    metrics.model_info.labels(*predictor.labels).set(1)
    show_calibration(predictor, metrics, "live")
    cache = make_cache(settings, metrics)
    stack.callback(cache.close)
    lists = follow_lists(settings, metrics, stack)
    reachability = Reachability(
        exit_after_s=settings.kafka.unreachable_exit_s,
        metrics=metrics,
        probe=lambda: probe(settings.kafka),
    )
    # The topics were checked before.
    reachability.seen()
    kafka = _kafka_side(setup, plan, stack, extras, metrics=metrics, reachability=reachability, waiting=probes.waiting)
    probes.serving(readiness(settings, kafka.consumer, reachability, metrics))
    return WorkerLoop(
        consumer=kafka.consumer,
        cache=_as_written(cache, setup),
        predictor=lambda: predictor,
        publisher=kafka.publisher,
        commits=kafka.commits,
        topics=setup.topics,
        limits=settings.codec,
        value_format=settings.kafka.value_format,
        batch_size=BatchSize(settings.batch),
        max_batch_bytes=settings.batch.max_bytes,
        metrics=metrics,
        stopping=lifecycle.stopping,
        beat=_beat(setup, plan, stack, extras, kafka.progress),
        # A replay of a chat on a deny list would bring its `allow` back. What people decided wins in Redis without it.
        sources=[] if lists is None else [lists],
    )


def _kafka_side(
    setup: ReplaySetup,
    plan: ReplayPlan,
    stack: ExitStack,
    extras: Extras,
    *,
    metrics: Metrics,
    reachability: Reachability,
    waiting: Waiting,
) -> _KafkaSide:
    settings = setup.settings
    commits, progress = CommitPipeline(background=True), Progress()
    client = open_group_consumer(settings.kafka, reachability.on_error, reports_ends=True)
    inner = make_publisher(settings, client, setup.topics, reachability, waiting=waiting)
    if not isinstance(inner, TransactionalPublisher):
        raise Fatal("a replay without transactions; expected exactly-once delivery; this is a bug")
    publisher = ReplayPublisher(inner, progress, extras.comparison)
    stack.callback(publisher.close)
    consumer = RangeConsumer(
        client,
        plan=plan,
        selection=setup.selection,
        progress=progress,
        wait_commit=commits.wait,
        rate=extras.rate,
        guard=extras.guard,
        stopping=setup.lifecycle.stopping,
        publisher=publisher,
        settings=settings.kafka,
        metrics=metrics,
        reachability=reachability,
        settle=commits.settle,
        assignment_check=assignment_check_of(setup.admin, settings.kafka),
        waiting=waiting,
    )
    stack.callback(consumer.close)
    stack.callback(commits.close)
    return _KafkaSide(consumer, publisher, commits, progress)


def _beat(
    setup: ReplaySetup, plan: ReplayPlan, stack: ExitStack, extras: Extras, progress: Progress
) -> Callable[[], None]:
    """Return what the loop calls once per turn: it looks at the whole replay now and then."""

    def on_state(state: GroupState) -> None:
        if extras.rate is not None:
            n_mine, n_open = state.open_of(set(progress))
            extras.rate.share = max(1, n_mine) / max(1, n_open)
        if state.is_complete:
            extras.on_done()
            setup.lifecycle.stopping.set()

    display = display_for(setup.console)
    stack.callback(display.close)
    monitor = Monitor(lambda: setup.look(plan), display, on_state)

    def beat() -> None:
        setup.lifecycle.beat()
        monitor.tick()

    return beat
