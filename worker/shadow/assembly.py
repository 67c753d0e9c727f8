"""Put the shadow of a worker together."""

from collections.abc import Callable
from contextlib import ExitStack

from worker.kafka.best_effort import BestEffortProducer
from worker.kafka.client import open_best_effort_producer
from worker.kafka.topic_check import WRITE, Uses
from worker.loop import OnCommitted
from worker.predictor import Predictor
from worker.process.metrics import Metrics
from worker.settings.model import ModelSettings
from worker.settings.worker import WorkerSettings
from worker.shadow.publisher import ShadowPublisher
from worker.shadow.scorer import NICENESS, Shadow

Follow = Callable[[ModelSettings, int], Callable[[], Predictor | None]]
"""Follows the files of a model, at a niceness; returns what gives its predictor, None while there is none."""


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
            # It is compared by what the default policy says.
            "policies_dir": None,
            "n_threads": 1,
        }
    )


def start_shadow(settings: WorkerSettings, metrics: Metrics, stack: ExitStack, *, follow: Follow) -> OnCommitted | None:
    """Start the shadow, where one is set, until the stack unwinds; return what is told of every commit.

    Its bundle is loaded in the background: one that is refused, or slow, holds nothing up. It follows its files as the
    live one does.
    """
    if (model := shadow_model(settings)) is None:
        return None
    predictor = follow(model, NICENESS)
    producer = BestEffortProducer(open_best_effort_producer(settings.kafka))
    publisher = ShadowPublisher(producer, settings.kafka.shadow_topic, metrics)
    shadow = Shadow(settings.shadow, predictor=predictor, publisher=publisher, metrics=metrics)
    stack.callback(shadow.close)
    shadow.start()
    return shadow.on_committed
