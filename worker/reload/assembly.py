"""Predictors that follow their files: the live one and the shadow's."""

import queue

from worker.errors import Fatal
from worker.outcome_encoding import OutputTopics
from worker.predictor import Loaded, Predictor, build_predictor, show_calibration, show_policies
from worker.process.metrics import Metrics
from worker.reload.file_signature import appearance
from worker.reload.switch import PredictorSwitch, shown_in
from worker.reload.verdict_size import largest_verdict_bytes, room_for_a_verdict
from worker.reload.watcher import Accepts, Inbox, ReloadWatcher, accept_all
from worker.settings.model import ModelSettings


def live_predictor(
    settings: ModelSettings, metrics: Metrics, *, accepts: Accepts = accept_all, may_hold: bool = True
) -> tuple[PredictorSwitch[Predictor], ReloadWatcher]:
    """Return a switch that holds the predictor of these settings, and its watcher, not yet started.

    Nothing else keeps the predictor, so that its memory is free once another has taken over.

    Args:
        settings: Paths and inference settings.
        metrics: Where outcomes are counted.
        accepts: Refuses what the rest of the settings cannot serve, now and at each reload.
        may_hold: Whether blocks are remembered; else each policy of the folder that holds is refused by itself.

    Raises:
        BundleError, PolicyError: the bundle or the policy is refused.
    """
    seen = appearance(settings.path, settings.policy_path, settings.policies_dir)
    loaded = Loaded.read(settings, may_hold=may_hold)
    accepts(loaded)
    predictor = build_predictor(loaded, settings)
    metrics.model_info.labels(*predictor.labels).set(1)
    show_calibration(predictor, metrics, "live")
    show_policies(predictor, metrics)
    inbox: Inbox = queue.SimpleQueue()
    switch: PredictorSwitch[Predictor] = PredictorSwitch(
        predictor, shown_in(metrics, metrics.model_info, "live", inbox.put)
    )
    return switch, ReloadWatcher(
        settings,
        loaded=loaded,
        seen=seen,
        offer=switch.offer,
        newest=switch.newest,
        metrics=metrics,
        inbox=inbox,
        accepts=accepts,
        may_hold=may_hold,
    )


def limit_verdicts(settings: ModelSettings, predictor: Predictor, watcher: ReloadWatcher, topics: OutputTopics) -> None:
    """Check that every verdict fits where it is written, and have the watcher refuse policies with which one would not.

    Where there is no folder of policies, a verdict that is too large ends as a dead letter, as ever.

    Raises:
        Fatal: with all policies a verdict may become too large.
    """
    if settings.policies_dir is None:
        return
    room_bytes, builder = room_for_a_verdict(topics), predictor.builder
    needed_bytes = largest_verdict_bytes(builder.model, builder.categories, builder.deciding)
    if needed_bytes > room_bytes:
        raise Fatal(
            f"{settings.policies_dir}: under {len(builder.deciding)} policies a verdict may have {needed_bytes:,} "
            f"bytes; expected at most {room_bytes:,}, which {topics.verdicts} and the cache take; use fewer policies "
            "or shorter names, or raise the topic's max.message.bytes"
        )
    watcher.limit_verdicts(room_bytes)


def shadow_predictor(
    settings: ModelSettings, metrics: Metrics, *, niceness: int
) -> tuple[PredictorSwitch[None], ReloadWatcher]:
    """Return a switch without a predictor, and its watcher, not yet started, which loads the first one.

    Args:
        settings: Paths and inference settings of the shadow.
        metrics: Where outcomes are counted.
        niceness: Of the watcher's thread and of the sessions' threads that it builds.
    """
    inbox: Inbox = queue.SimpleQueue()
    switch: PredictorSwitch[None] = PredictorSwitch(
        None, shown_in(metrics, metrics.shadow_model_info, "shadow", inbox.put)
    )
    return switch, ReloadWatcher(
        settings,
        loaded=None,
        seen=None,
        offer=switch.offer,
        newest=switch.newest,
        metrics=metrics,
        role="shadow",
        niceness=niceness,
        inbox=inbox,
    )
