"""The live judge and what looks after it."""

import queue

from worker.judge import Judge, Loaded, build_judge
from worker.metrics import Metrics
from worker.reload.switch import JudgeSwitch, shown_in
from worker.reload.watched import appearance
from worker.reload.watcher import Inbox, ReloadWatcher
from worker.settings import ModelSettings


def live_judge(settings: ModelSettings, metrics: Metrics) -> tuple[JudgeSwitch[Judge], ReloadWatcher]:
    """Return a switch that holds the judge of these settings, and its watcher, not yet started.

    Nothing else keeps the judge, so that its memory is free once another has taken over.

    Raises:
        BundleError, PolicyError: the bundle or the policy is refused.
    """
    seen = appearance(settings.path, settings.policy_path)
    loaded = Loaded.read(settings.path, settings.policy_path)
    judge = build_judge(loaded, settings)
    metrics.model_info.labels(*judge.labels).set(1)
    inbox: Inbox = queue.SimpleQueue()
    switch: JudgeSwitch[Judge] = JudgeSwitch(judge, shown_in(metrics, metrics.model_info, "live", inbox.put))
    return switch, ReloadWatcher(settings, loaded=loaded, seen=seen, offer=switch.offer, metrics=metrics, inbox=inbox)
