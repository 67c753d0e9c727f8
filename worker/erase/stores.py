"""The topics that may hold a chat, and what each knows of one. Pure.

docs/retention.md has the whole table, with what is no topic.
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from worker.kafka.topic_cleanup import Cleanup
from worker.settings.kafka import KafkaSettings


class Holds(StrEnum):
    """What a topic has of a chat."""

    TEXT = "text"
    """Its conversation, and its id."""
    ID = "id"
    """Its id, and what was decided."""


class Store(NamedTuple):
    """One topic."""

    setting: str
    """The setting that names it."""
    topic: str
    holds: Holds
    is_events: bool
    """Whether a record's value may say whose it is: an event, or the dead letter of one. Else its key does."""
    is_required: bool
    """Whether nothing works without it."""
    takes_tombstones: bool
    """Whether readers take a tombstone here for what it means, compacted or not."""
    is_small: bool
    """Whether it has few records for each chat, and may be read whole at any time."""


class _Kind(NamedTuple):
    holds: Holds
    is_events: bool = False
    is_required: bool = False
    takes_tombstones: bool = False
    is_small: bool = False


_KINDS: Final = {
    "input_topic": _Kind(Holds.TEXT, is_events=True, is_required=True, takes_tombstones=True),
    "dead_letter_topic": _Kind(Holds.TEXT, is_events=True, is_required=True),
    "verdict_topic": _Kind(Holds.ID, is_required=True),
    "changes_topic": _Kind(Holds.ID),
    "shadow_topic": _Kind(Holds.ID),
    "reviews_topic": _Kind(Holds.ID),
    "state_topic": _Kind(Holds.ID, takes_tombstones=True, is_small=True),
    "overrides_topic": _Kind(Holds.ID, takes_tombstones=True, is_small=True),
}
"""By setting, in the order of the account."""

NAMELESS: Final = frozenset({"replay_topic", "policies_topic", "decisions_topic", "feedback_topic", "erasures_topic"})
"""Settings of the topics that name no chat: plans, thresholds, keyed hashes, and reports under a verdict's id."""


def stores_of(settings: KafkaSettings) -> Iterator[Store]:
    """Yield the topics of a deployment that may hold a chat."""
    for setting, kind in _KINDS.items():
        if (topic := getattr(settings, setting)) is not None:
            yield Store(
                setting,
                topic,
                kind.holds,
                kind.is_events,
                # Whoever names one that is off by default has made it.
                kind.is_required or type(settings).model_fields[setting].default is None,
                kind.takes_tombstones,
                kind.is_small,
            )


def wants_tombstones(store: Store, cleanup: Cleanup | None) -> bool:
    """Say whether an erased chat gets tombstones in a topic.

    Args:
        store: The topic.
        cleanup: How records leave it; None where nobody may ask.
    """
    # Where records go by age alone a tombstone takes nothing away and would meet readers that expect none.
    return store.takes_tombstones or (cleanup is not None and cleanup.is_compacted)
