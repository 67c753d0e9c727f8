"""The topics of a deployment, read from topics.yaml."""

from pathlib import Path
from typing import Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from worker.settings.kafka import KafkaSettings

PATH: Final = Path(__file__).with_name("topics.yaml")


class Topic(BaseModel):
    """One topic.

    Attributes:
        setting: The worker's setting that holds its name.
        name: Its name; in the list that of a topic which is off by default is the one to give it.
        partitions: How many, or many: as many as the input has.
        config: Topic settings.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    setting: str
    name: str
    partitions: int | Literal["many"]
    config: dict[str, str] = Field(default_factory=dict)


class _Topics(BaseModel):
    model_config = ConfigDict(extra="forbid")

    topics: tuple[Topic, ...]


def topics_of(settings: KafkaSettings) -> list[Topic]:
    """Return the topics that this deployment uses, under its names."""
    listed = _Topics.model_validate(yaml.safe_load(PATH.read_text("utf-8"))).topics
    named = [(topic, getattr(settings, topic.setting)) for topic in listed]
    return [topic.model_copy(update={"name": name}) for topic, name in named if name is not None]
