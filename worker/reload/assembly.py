"""Predictors that follow their files: the live one and the shadow's."""

import queue

from worker.predictor import Loaded, Predictor, build_predictor, show_calibration
from worker.process.metrics import Metrics
from worker.reload.file_signature import appearance
from worker.reload.switch import PredictorSwitch, shown_in
from worker.reload.watcher import Accepts, Inbox, ReloadWatcher, accept_all
from worker.settings.model import ModelSettings


def live_predictor(
    settings: ModelSettings, metrics: Metrics, *, accepts: Accepts = accept_all
) -> tuple[PredictorSwitch[Predictor], ReloadWatcher]:
    """Return a switch that holds the predictor of these settings, and its watcher, not yet started.

    Nothing else keeps the predictor, so that its memory is free once another has taken over.

    Args:
        settings: Paths and inference settings.
        metrics: Where outcomes are counted.
        accepts: Refuses what the rest of the settings cannot serve, now and at each reload.

    Raises:
        BundleError, PolicyError: the bundle or the policy is refused.
    """
    seen = appearance(settings.path, settings.policy_path)
    loaded = Loaded.read(settings)
    accepts(loaded)
    predictor = build_predictor(loaded, settings)
    metrics.model_info.labels(*predictor.labels).set(1)
    show_calibration(predictor, metrics, "live")
    inbox: Inbox = queue.SimpleQueue()
    switch: PredictorSwitch[Predictor] = PredictorSwitch(
        predictor, shown_in(metrics, metrics.model_info, "live", inbox.put)
    )
    watcher = ReloadWatcher(
        settings, loaded=loaded, seen=seen, offer=switch.offer, metrics=metrics, inbox=inbox, accepts=accepts
    )
    return switch, watcher


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
        metrics=metrics,
        role="shadow",
        niceness=niceness,
        inbox=inbox,
    )
