"""The newest verdict of a chat: of Redis, else of the verdict topic."""

from console.pipeline.errors import PipelineAway
from schemas import Verdict
from worker.errors import Fatal
from worker.kafka.probe import open_admin
from worker.overrides.newest_verdict import cached_verdict, verdict_on_topic
from worker.settings.worker import WorkerSettings


def newest(settings: WorkerSettings, chat_id: str) -> Verdict | None:
    """Return a chat's newest verdict; None where there is none.

    Redis answers within milliseconds. Without it a partition of the verdict topic is read, which may take seconds.

    Raises:
        PipelineAway: Kafka cannot be read.
    """
    if (found := cached_verdict(settings, chat_id)) is not None:
        return found
    try:
        return verdict_on_topic(settings.kafka, open_admin(settings.kafka), chat_id)
    except Fatal as error:
        raise PipelineAway(str(error)) from error


def newest_at_hand(settings: WorkerSettings, chat_id: str) -> Verdict | None:
    """Return a chat's newest verdict where Redis has it: for callers who may not cause a topic to be read.

    Without a cache in the settings the topic is read.

    Raises:
        PipelineAway: Kafka cannot be read.
    """
    if settings.redis.url is None:
        return newest(settings, chat_id)
    return cached_verdict(settings, chat_id)
