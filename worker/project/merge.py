"""Which outcome of a chat is the newest: pure. The rule is the compare-and-set's; a test holds the two together."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from worker.record import Place


class Versions(NamedTuple):
    """Who decided."""

    model_name: str
    model_version: str
    policy_name: str
    policy_version: str


class Outcome(NamedTuple):
    """What one output record says of a chat, without its value."""

    topic: str
    """Of the input record, as are the next three."""
    partition: int
    offset: int
    timestamp_ms: int
    place: Place
    published_ms: int
    """Timestamp of the output record, ms since the epoch."""
    versions: Versions | None = None
    """None for a dead letter."""
    rejected: str | None = None
    """What the marker of a dead letter says; None for a verdict."""


def is_newer(new: Outcome, old: Outcome) -> bool:
    """Say whether an outcome takes the place of another; of equals the one published later does."""
    if (new.topic, new.partition) != (old.topic, old.partition):
        if new.timestamp_ms != old.timestamp_ms:
            return new.timestamp_ms > old.timestamp_ms
    elif new.offset != old.offset:
        return new.offset > old.offset
    elif new.versions is not None and old.versions is not None:
        if _is_older_version(new.versions, old.versions):
            return False
        if _is_older_version(old.versions, new.versions):
            return True
    return new.published_ms >= old.published_ms


def _is_older_version(a: Versions, b: Versions) -> bool:
    """Say whether `a` is an older version of the same model, or of the same policy under an equal model."""
    if a.model_name != b.model_name:
        return False
    model_a, model_b = _numbers(a.model_version), _numbers(b.model_version)
    if model_a != model_b:
        return model_a < model_b
    return a.policy_name == b.policy_name and _numbers(a.policy_version) < _numbers(b.policy_version)


def _numbers(version: str) -> list[int]:
    numbers = [int(digits) for digits in re.findall("[0-9]+", version)]
    # 1.9 and 1.9.0 are the same version.
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return numbers


class NewestOutcomes:
    """The newest outcome of each chat: about 400 bytes a chat."""

    def __init__(self) -> None:
        self._newest: dict[str, Outcome] = {}
        self._versions: dict[Versions, Versions] = {}
        self._spoiled: set[str] = set()

    def __len__(self) -> int:
        return len(self._newest)

    def offer(self, chat_id: str, outcome: Outcome) -> None:
        """Take an outcome that was read; the order of offers does not matter."""
        old = self._newest.get(chat_id)
        if old is None or is_newer(outcome, old):
            shared = outcome.versions and self._versions.setdefault(outcome.versions, outcome.versions)
            self._newest[chat_id] = outcome._replace(versions=shared)

    def spoil(self, chat_id: str) -> None:
        """Take that the chat has an outcome that cannot be read, so that nobody knows which is the newest."""
        self._spoiled.add(chat_id)

    def markers(self) -> Iterator[tuple[str, Outcome]]:
        """Yield the chats whose newest record was rejected."""
        return ((chat_id, one) for chat_id, one in self._known() if one.rejected is not None)

    def verdicts(self) -> dict[Place, tuple[str, Outcome]]:
        """Return, by the place of its record, the verdict of each chat whose newest record has one."""
        return {one.place: (chat_id, one) for chat_id, one in self._known() if one.rejected is None}

    def _known(self) -> Iterator[tuple[str, Outcome]]:
        return (item for item in self._newest.items() if item[0] not in self._spoiled)
