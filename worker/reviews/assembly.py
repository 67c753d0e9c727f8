"""Put the reviews of a worker together, where the settings name a topic for them."""

from dataclasses import replace

from worker.decide import ContextSource
from worker.kafka.client import KafkaAdmin
from worker.kafka.retry import Waiting, unheard
from worker.kafka.topic_check import WRITE, Uses, max_message_bytes
from worker.outcome_encoding import OutputTopics
from worker.process.metrics import Metrics
from worker.reviews.source import ReviewSource
from worker.settings.kafka import KafkaSettings


def review_topics(settings: KafkaSettings) -> Uses:
    """Return what is done with the topic of reviews: without it no batch could be committed."""
    return {} if settings.reviews_topic is None else {settings.reviews_topic: WRITE}


def with_reviews(
    topics: OutputTopics, admin: KafkaAdmin, settings: KafkaSettings, waiting: Waiting = unheard
) -> OutputTopics:
    """Return the output topics with limits that reviews keep, too.

    A review is smaller than its verdict, so a verdict that the topic of reviews would take has a review that it takes.

    Raises:
        Fatal: Kafka does not answer.
    """
    if settings.reviews_topic is None:
        return topics
    limit = max_message_bytes(admin, settings.reviews_topic, settings, waiting)
    return replace(topics, verdict_max_bytes=min(topics.verdict_max_bytes, limit))


def review_sources(settings: KafkaSettings, metrics: Metrics) -> list[ContextSource]:
    """Return what writes reviews; nothing where no topic is set."""
    return [] if settings.reviews_topic is None else [ReviewSource(settings.reviews_topic, metrics)]
