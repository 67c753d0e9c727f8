"""The live predictor and what looks after it."""

import queue

from worker.predictor import Loaded, Predictor, build_predictor
from worker.process.metrics import Metrics
from worker.reload.file_signature import appearance
from worker.reload.switch import PredictorSwitch, shown_in
from worker.reload.watcher import Inbox, ReloadWatcher
from worker.settings.worker import ModelSettings


def live_predictor(settings: ModelSettings, metrics: Metrics) -> tuple[PredictorSwitch[Predictor], ReloadWatcher]:
    """Return a switch that holds the predictor of these settings, and its watcher, not yet started.

    Nothing else keeps the predictor, so that its memory is free once another has taken over.

    Raises:
        BundleError, PolicyError: the bundle or the policy is refused.
    """
    seen = appearance(settings.path, settings.policy_path)
    loaded = Loaded.read(settings)
    predictor = build_predictor(loaded, settings)
    metrics.model_info.labels(*predictor.labels).set(1)
    inbox: Inbox = queue.SimpleQueue()
    switch: PredictorSwitch[Predictor] = PredictorSwitch(
        predictor, shown_in(metrics, metrics.model_info, "live", inbox.put)
    )
    return switch, ReloadWatcher(settings, loaded=loaded, seen=seen, offer=switch.offer, metrics=metrics, inbox=inbox)
