"""Run a replay to the end of its range and account for it."""

import threading
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial

import structlog

from worker.errors import SettingsError
from worker.kafka.committed import group_lag
from worker.kafka.config import consumer_config
from worker.kafka.errors import fatal_while
from worker.kafka.topic_scan import scan
from worker.process.tuning import go_behind_live_workers
from worker.replay.plan.plan_store import PlanStore, open_plan_store
from worker.replay.plan.planning import Choices, Planner, replay_settings
from worker.replay.plan.replay_plan import PLAN_FORMAT_VERSION, ReplayPlan, StoredReplay
from worker.replay.plan.unfinished import Offsets, UnfinishedRedrive, unfinished_redrives
from worker.replay.report.account import Report
from worker.replay.run.assembly import Extras, ReplaySetup, build_loop
from worker.replay.run.group_state import GroupState, finished_state, read_group_state
from worker.replay.run.old_verdicts import OldVerdicts
from worker.replay.run.publisher import ChangeFinder
from worker.replay.run.throttle import LagGuard, RateLimit

log = structlog.get_logger()


def run_replay(setup: ReplaySetup) -> Report:
    """Run until every partition has reached its end, or until the lifecycle says stop; return the account.

    Raises:
        Fatal: Kafka cannot be worked with; what is committed stays, and the replay can be run again.
        SettingsError: the replay id stands for another replay.
    """
    settings, choices = setup.settings, setup.choices
    store = open_plan_store(settings.kafka, transactional_id=f"{setup.live.kafka.group_id}.replay-plans")
    planner = Planner(setup.admin, store, old_verdict_topic=setup.live.kafka.verdict_topic, timeout_s=setup.timeout_s)
    stored = planner.fix(choices.replay_id, setup.request)
    plan = stored.plan
    log.info("replay_planned", replay_id=plan.replay_id, n_offsets=plan.n_offsets, n_partitions=len(plan.ranges))
    if names := _not_held(setup):
        log.warning(
            "replay_without_holds",
            policies=names,
            consequence="each record is decided as if nothing had been blocked before it",
        )
    if stored.notes is None and not _look(setup, plan).is_complete:
        _judge(setup, plan)
    report = partial(
        Report,
        allow_lost=choices.allow_lost,
        not_held=_not_held(setup),
        n_partitions_added=planner.n_added(plan),
        unfinished=tuple(unfinished(setup, store.read(), plan.topic_ids)) if setup.request.redrive else (),
    )
    if stored.notes is None:
        state = _look(setup, plan)
        if not state.is_complete:
            return report(state)
        stored = _finish(store, plan, state)
    store.close()
    return report(finished_state(stored))


def _not_held(setup: ReplaySetup) -> tuple[str, ...]:
    """Return the policies that hold on live traffic; a replay does not: the state is that of now, not of then."""
    policy = setup.loaded.policy
    return (policy.name,) if policy.hold_block_s > 0 else ()


def unfinished(
    setup: ReplaySetup, stored: Mapping[str, StoredReplay], topic_ids: Mapping[str, str]
) -> list[UnfinishedRedrive]:
    """Return the earlier redrives that left letters behind which this one passes over.

    Raises:
        Fatal: the brokers do not say how far they are.
    """

    def offsets_of(plan: ReplayPlan) -> Offsets:
        group_id = replay_settings(setup.live, Choices(plan.replay_id)).kafka.group_id
        with fatal_while(f"reading the committed offsets of an earlier redrive, group {group_id}"):
            return read_group_state(setup.admin, group_id, plan, timeout_s=setup.timeout_s).offsets

    own_id, live = setup.choices.replay_id, setup.live.kafka
    return unfinished_redrives(setup.request, topic_ids, stored, own_id=own_id, offsets_of=offsets_of, live=live)


def _look(setup: ReplaySetup, plan: ReplayPlan) -> GroupState:
    with fatal_while(f"reading the replay's committed offsets, group {setup.settings.kafka.group_id}"):
        return setup.look(plan)


def _finish(store: PlanStore, plan: ReplayPlan, state: GroupState) -> StoredReplay:
    return store.settle(
        plan.replay_id,
        lambda _: StoredReplay(format_version=PLAN_FORMAT_VERSION, plan=plan, notes=state.notes()),
        is_settled=lambda found: found.notes is not None,
    )


def _old_verdicts(setup: ReplaySetup, plan: ReplayPlan) -> OldVerdicts | None:
    """Read what the verdict topic said before the plan; None where the lifecycle says stop."""
    old = OldVerdicts(plan.ranges, plan.replay_id)
    config = consumer_config(setup.settings.kafka)
    for records in scan(config, plan.old_verdicts, timeout_s=setup.settings.kafka.unreachable_exit_s):
        if setup.lifecycle.stopping.is_set():
            return None
        setup.lifecycle.beat()
        for record in records:
            old.add(record.value)
    log.info("old_verdicts_read", n_known=old.n_known)
    return old


def _guard(setup: ReplaySetup) -> LagGuard | None:
    if not setup.choices.low_priority:
        return None
    # On one machine the live workers go first; across machines the lag decides.
    go_behind_live_workers()
    kafka = setup.live.kafka

    def lag() -> int | None:
        return group_lag(setup.admin, kafka.group_id, kafka.input_topic, timeout_s=setup.timeout_s)

    with fatal_while(f"reading the live workers' lag, group {kafka.group_id}"):
        if lag() is None:
            raise SettingsError(
                f"--priority low: group {kafka.group_id} has never committed an offset of {kafka.input_topic}"
                "; expected the live workers' group; check MODERATION_KAFKA__GROUP_ID and MODERATION_KAFKA__INPUT_TOPIC"
            )
    return LagGuard(lambda: lag() or 0, max_lag=setup.choices.max_live_lag)


def _judge(setup: ReplaySetup, plan: ReplayPlan) -> None:
    """Run the worker's loop over the plan's ranges."""
    comparison = None
    if plan.request.changes_topic is not None:
        old = _old_verdicts(setup, plan)
        if old is None:
            return
        comparison = ChangeFinder(old, plan.request.changes_topic)
    guard = _guard(setup)
    rate = None if setup.choices.rate is None else RateLimit(setup.choices.rate)
    done = threading.Event()
    with ExitStack() as stack:
        loop = build_loop(setup, plan, stack, Extras(comparison, rate, guard, done.set))
        try:
            loop.run()
        finally:
            if not done.is_set():
                setup.lifecycle.must_end_in_time()
