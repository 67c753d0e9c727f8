"""Put the shadow of a worker together."""

import queue
from contextlib import ExitStack
from dataclasses import dataclass

from confluent_kafka import Producer

from worker.kafka.topic_check import WRITE, Uses
from worker.loop import OnCommitted
from worker.process.logs import librdkafka_logger
from worker.process.metrics import Metrics
from worker.reload.switch import PredictorSwitch, shown_in
from worker.reload.watcher import Inbox, ReloadWatcher
from worker.settings.worker import ModelSettings, WorkerSettings
from worker.shadow.publisher import ShadowPublisher, shadow_producer_config
from worker.shadow.scorer import NICENESS, Shadow


@dataclass(frozen=True)
class RunningShadow:
    """What the worker needs of its shadow."""

    on_committed: OnCommitted
    watcher: ReloadWatcher
    """Of the shadow's files, not yet started; until it runs, the shadow has no bundle."""


def shadow_topics(settings: WorkerSettings) -> Uses:
    """Return what is done with the shadow topic, where the settings ask for a shadow."""
    return {} if settings.shadow.model_path is None else {settings.kafka.shadow_topic: WRITE}


def shadow_model(settings: WorkerSettings) -> ModelSettings | None:
    """Return the settings of the shadow's model, where one is set: those of the live one with its own files."""
    if settings.shadow.model_path is None:
        return None
    return settings.model.model_copy(
        update={
            "path": settings.shadow.model_path,
            "policy_path": settings.shadow.policy_path or settings.model.policy_path,
            "n_threads": 1,
        }
    )


def start_shadow(settings: WorkerSettings, metrics: Metrics, stack: ExitStack) -> RunningShadow | None:
    """Start the shadow, where one is set, until the stack unwinds.

    Its bundle is loaded in the background: one that is refused, or slow, holds nothing up. It follows its files as the
    live one does.
    """
    if (model := shadow_model(settings)) is None:
        return None
    inbox: Inbox = queue.SimpleQueue()
    on_swap = shown_in(metrics, metrics.shadow_model_info, "shadow", inbox.put)
    switch: PredictorSwitch[None] = PredictorSwitch(None, on_swap)
    watcher = ReloadWatcher(
        model,
        loaded=None,
        seen=None,
        offer=switch.offer,
        metrics=metrics,
        role="shadow",
        niceness=NICENESS,
        inbox=inbox,
    )
    producer = Producer(shadow_producer_config(settings.kafka), logger=librdkafka_logger())
    publisher = ShadowPublisher(producer, settings.kafka.shadow_topic, metrics)
    shadow = Shadow(settings.shadow, predictor=switch.take, publisher=publisher, metrics=metrics)
    stack.callback(shadow.close)
    shadow.start()
    return RunningShadow(shadow.on_committed, watcher)
