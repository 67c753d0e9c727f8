"""Put the conversation state of a worker together, where the settings name its topic."""

from functools import partial

from worker.conversation.requirement import require_state_topic
from worker.conversation.source import Conversations
from worker.conversation.state_reader import StateReader
from worker.kafka.client import KafkaAdmin
from worker.kafka.retry import Waiting, patiently
from worker.kafka.state_topic_check import check_state_topic
from worker.kafka.topic_check import READ, WRITE, Uses
from worker.predictor import Loaded
from worker.process.metrics import Metrics
from worker.settings.kafka import KafkaSettings


def refuse_unheld(settings: KafkaSettings, loaded: Loaded) -> None:
    """Refuse policies whose holds these settings have no place for.

    Raises:
        PolicyError: see `require_state_topic`.
    """
    require_state_topic(loaded.policies.policies, settings)


def state_uses(settings: KafkaSettings) -> Uses:
    """Return what is done with the state topic, where one is set."""
    return {} if settings.state_topic is None else {settings.state_topic: READ | WRITE}


def conversations(
    settings: KafkaSettings, admin: KafkaAdmin, metrics: Metrics, waiting: Waiting
) -> list[Conversations]:
    """Return what remembers earlier decisions; none where no state topic is set.

    Raises:
        Fatal: the topic cannot hold the states of this input topic.
    """
    if (topic := settings.state_topic) is None:
        return []
    patiently(
        f"looking at topic {topic}",
        partial(check_state_topic, admin, topic, settings.input_topic),
        settings,
        remedy="check the brokers and the network",
        waiting=waiting,
    )
    reader = StateReader(admin, settings, topic, metrics=metrics, waiting=waiting)
    return [Conversations(topic, restore=reader, metrics=metrics)]
