"""Put the parts together by which a worker follows what people decide."""

from contextlib import ExitStack
from typing import Final, NamedTuple

from worker.cache.verdict_cache import VerdictCache
from worker.decode import Decoder
from worker.kafka.client import KafkaAdmin
from worker.kafka.control_topic import check_is_compacted
from worker.kafka.record_fetch import open_fetcher
from worker.kafka.topic_check import READ, Uses
from worker.kafka.topic_follower import open_follower
from worker.overrides.answers import Answers
from worker.overrides.follower import OverrideFollower
from worker.overrides.register import OverrideRegister
from worker.overrides.source import OverrideSource
from worker.process.metrics import Metrics
from worker.settings.worker import WorkerSettings

READER: Final = "overrides"
"""Goes behind the group id as the name of the two consumers, which join no group."""


class Overrides(NamedTuple):
    """What the worker holds of it."""

    source: OverrideSource
    follower: OverrideFollower


def override_topics(settings: WorkerSettings) -> Uses:
    """Return what is done with the overrides topic, where the settings name one."""
    topic = settings.kafka.overrides_topic
    return {} if topic is None else {topic: READ}


def read_overrides(
    settings: WorkerSettings, admin: KafkaAdmin, cache: VerdictCache, metrics: Metrics, stack: ExitStack
) -> Overrides | None:
    """Read the overrides topic whole, where one is set, and return what follows it; it closes with the stack.

    Raises:
        Fatal: the topic cannot be read, or deletes records by age.
    """
    topic = settings.kafka.overrides_topic
    if topic is None:
        return None
    check_is_compacted(
        admin, topic, timeout_s=settings.kafka.request_timeout_s, lost="what people decided is forgotten"
    )
    register = OverrideRegister(settings.overrides.signing_keys, metrics)
    fetcher = open_fetcher(settings.kafka, READER)
    decoder = Decoder(settings.codec, value_format=settings.kafka.value_format)
    answers = Answers(fetcher, decoder, cache, metrics)
    follower = OverrideFollower(open_follower(settings.kafka, topic, READER), fetcher, register, answers, metrics)
    stack.callback(follower.close)
    follower.read_whole()
    return Overrides(OverrideSource(register, answers), follower)
