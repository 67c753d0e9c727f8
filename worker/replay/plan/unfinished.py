"""Earlier redrives that left letters behind. Pure.

A redrive starts where the earlier ones end, finished or not: what an interrupted one has not read, only it reads. So
each of them is named, with the command that goes on with it.
"""

import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from worker.kafka.partition_range import Partition
from worker.replay.plan.replay_plan import ReplayPlan, StoredReplay
from worker.replay.plan.request import ReplayRequest, differences
from worker.settings.kafka import KafkaSettings

Offsets = Mapping[Partition, int]
"""By partition, the next offset that a replay reads."""


@dataclass(frozen=True)
class Left:
    """Offsets of one partition that nobody has read: `start` is not read, `end` is not among them."""

    topic: str
    partition: int
    start: int
    end: int


@dataclass(frozen=True)
class UnfinishedRedrive:
    """An earlier redrive that is not at its end: it was interrupted, or it still runs."""

    replay_id: str
    left: tuple[Left, ...]
    differences: tuple[str, ...]
    """What it was started with that is another now; empty where it can go on."""
    command: str
    """Reads what is left: goes on with it, or where that is not possible judges the same offsets anew."""

    @property
    def n_left(self) -> int:
        """Offsets that are left: at most so many letters."""
        return sum(one.end - one.start for one in self.left)

    def line(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {"replay_id": self.replay_id, "n_offsets_left": self.n_left, "command": self.command}

    def sentence(self) -> str:
        """Return it for a person, the command on a line of its own."""
        letters = f"redrive {self.replay_id} is not at its end: up to {self.n_left:,} letters are left"
        if not self.differences:
            return f"{letters}, where it does not still run; go on with it:\n  {self.command}"
        return (
            f"{letters}, and it cannot go on under these settings ({'; '.join(self.differences)}); judge them under "
            f"these:\n  {self.command}"
        )


def unfinished_redrives(
    asked: ReplayRequest,
    ids: Mapping[str, str],
    stored: Mapping[str, StoredReplay],
    *,
    own_id: str,
    offsets_of: Callable[[ReplayPlan], Offsets],
    live: KafkaSettings,
) -> list[UnfinishedRedrive]:
    """Return the earlier redrives whose letters a redrive of this request passes over, by name.

    Args:
        asked: The request; only one that takes every letter stands on the earlier ones.
        ids: By topic, the id that it has now.
        stored: All replays, by replay id.
        own_id: The one that asks.
        offsets_of: Where a replay is that has not ended.
        live: The live workers' settings: topics that are not theirs are options of the command.
    """
    if not asked.redrive or not asked.is_whole:
        return []
    done = _finished(stored.values())
    found = []
    for replay_id, one in sorted(stored.items()):
        plan = one.plan
        is_earlier = replay_id != own_id and plan.request.redrive and plan.request.is_whole and one.notes is None
        if not is_earlier or not set(plan.request.topics) & set(asked.topics):
            continue
        if any(ids.get(topic) not in {None, topic_id} for topic, topic_id in plan.topic_ids.items()):
            # The topic was deleted since, and what was left with it.
            continue
        if left := _left(plan, offsets_of(plan), done):
            # The command names these two itself.
            same = {"topics": plan.request.topics, "verdict_topic": plan.request.verdict_topic}
            other = tuple(differences(plan.request, asked.model_copy(update=same)))
            found.append(UnfinishedRedrive(replay_id, left, other, _command(plan, left, live, goes_on=not other)))
    return found


def _finished(stored: Iterable[StoredReplay]) -> dict[Partition, list[tuple[int, int]]]:
    """Return the offsets of redrives at their end that took every letter between them.

    Those that were deleted before they were read count: the redrive that asked for them has told of the loss.
    """
    spans: dict[Partition, list[tuple[int, int]]] = {}
    for one in stored:
        request = one.plan.request
        is_picked = request.n_chats or request.reasons or request.since_ms is not None or request.until_ms is not None
        if request.redrive and one.notes is not None and not is_picked:
            for taken in one.plan.ranges:
                spans.setdefault(taken.place, []).append((taken.start - taken.n_lost, taken.end))
            for asked in request.spans:
                if asked.start is not None and asked.end is not None:
                    spans.setdefault((asked.topic, asked.partition), []).append((asked.start, asked.end))
    return {place: sorted(found) for place, found in spans.items()}


def _left(plan: ReplayPlan, offsets: Offsets, done: Mapping[Partition, list[tuple[int, int]]]) -> tuple[Left, ...]:
    left = []
    for one in plan.ranges:
        start = offsets.get(one.place, one.start)
        for begin, end in done.get(one.place, ()):
            if begin > start:
                left += [Left(*one.place, start, min(begin, one.end))] if start < one.end else []
            start = max(start, end)
        if start < one.end:
            left.append(Left(*one.place, start, one.end))
    return tuple(left)


def _command(plan: ReplayPlan, left: Iterable[Left], live: KafkaSettings, *, goes_on: bool) -> str:
    words = ["python", "-m", "worker", "replay", "--redrive"]
    if goes_on:
        words += ["--replay-id", plan.replay_id]
    for topic in plan.request.topics:
        words += ["--topic", topic] if plan.request.topics != (live.dead_letter_topic,) else []
    if plan.request.verdict_topic != live.verdict_topic:
        words += ["--verdict-topic", plan.request.verdict_topic]
    if not goes_on:
        for one in left:
            words += ["--offsets", f"{one.topic}:{one.partition}:{one.start}-{one.end}"]
    return shlex.join(words)
