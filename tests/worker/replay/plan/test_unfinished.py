"""Letters that an interrupted redrive left, and the command that reads them."""

from typing import Any

import pytest

from tests.worker.payloads import kafka_settings
from tests.worker.replay.test_parts import plan, request
from worker.kafka.partition_range import PartitionRange, Span
from worker.process.lifecycle import EXIT_STOPPED_EARLY
from worker.replay.plan.replay_plan import ReplayPlan, StoredReplay
from worker.replay.plan.request import ReplayRequest
from worker.replay.plan.unfinished import UnfinishedRedrive, unfinished_redrives
from worker.replay.report.account import Report
from worker.replay.report.tally import Tally
from worker.replay.run.group_state import GroupState

TOPIC = "chat-events.dlq"
PLACE = (TOPIC, 0)


def redrive(**fields: Any) -> ReplayRequest:
    """Return the request of a redrive."""
    return request(**{"topics": (TOPIC,), "redrive": True, **fields})


def stored(replay_id: str, start: int, end: int, *, is_done: bool = False, **fields: Any) -> StoredReplay:
    """Return a redrive of one partition."""
    topic_id = fields.pop("topic_id", "id-1")
    made = plan(
        replay_id=replay_id,
        request=redrive(**fields),
        ranges=(PartitionRange(topic=TOPIC, partition=0, start=start, end=end),),
        topic_ids={TOPIC: topic_id},
    )
    return StoredReplay(plan=made, notes={TOPIC: {0: Tally().to_note()}} if is_done else None)


def left_by(*others: StoredReplay, asked: ReplayRequest | None = None, at: int = 5) -> list[UnfinishedRedrive]:
    """Return what is left, where each unfinished redrive stands at this offset."""
    return unfinished_redrives(
        asked or redrive(),
        {TOPIC: "id-1"},
        {one.plan.replay_id: one for one in others},
        own_id="now",
        offsets_of=lambda _: {PLACE: at},
        live=kafka_settings(),
    )


def test_an_interrupted_redrive_is_named_with_the_command_that_goes_on_with_it() -> None:
    """The next one begins behind it, reads nothing, and would say that all is well."""
    (found,) = left_by(stored("jan", 0, 10), stored("feb", 10, 12, is_done=True))
    assert (found.replay_id, found.n_left) == ("jan", 5)
    assert found.command == "python -m worker replay --redrive --replay-id jan"
    assert found.command in found.sentence()
    assert found.line()["n_offsets_left"] == 5


def test_options_that_the_redrive_was_started_with_are_in_its_command() -> None:
    """Copied as it is, it must not be refused."""
    (found,) = left_by(stored("jan", 0, 10, verdict_topic="trial"))
    assert found.command == "python -m worker replay --redrive --replay-id jan --verdict-topic trial"
    other = stored("feb", 0, 10)
    asked = redrive(topics=(TOPIC, "b.dlq"))
    both = other.model_copy(update={"plan": other.plan.model_copy(update={"request": asked})})
    (found,) = left_by(both, asked=asked)
    assert found.command.endswith(f"--replay-id feb --topic {TOPIC} --topic b.dlq")


def test_a_redrive_of_another_model_is_judged_anew_by_its_offsets_and_then_rests() -> None:
    """After the fix of a bundle its own id is refused; what is left must not be named for ever."""
    earlier = stored("jan", 0, 10, model_digest="sha256:old")
    (found,) = left_by(earlier)
    assert "model_digest" in found.sentence()
    assert found.command == f"python -m worker replay --redrive --offsets {TOPIC}:0:5-10"
    span = Span(topic=TOPIC, partition=0, start=5, end=8)
    part = stored("part", 5, 8, is_done=True, spans=(span,))
    (found,) = left_by(earlier, part)
    assert found.command.endswith("--offsets chat-events.dlq:0:8-10")
    assert left_by(earlier, part, stored("rest", 8, 10, is_done=True, spans=(span,))) == []


def test_letters_that_retention_took_before_they_were_judged_anew_are_not_named_for_ever() -> None:
    """A redrive of their offsets finds none of them and says so (8); no later one could do more."""
    earlier = stored("jan", 0, 10, model_digest="sha256:old")
    span = Span(topic=TOPIC, partition=0, start=5, end=10)
    assert left_by(earlier, stored("gone", 30, 30, is_done=True, spans=(span,))) == []


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(stored("jan", 0, 5), id="at its end, not noted yet"),
        pytest.param(stored("jan", 0, 10, is_done=True), id="finished"),
        pytest.param(stored("now", 0, 10), id="this one"),
        pytest.param(stored("jan", 0, 10, partitions=(0,)), id="took some letters, moves no mark"),
        pytest.param(stored("jan", 0, 10, topic_id="id-0"), id="of a topic that was made again"),
        pytest.param(stored("jan", 0, 10, redrive=False), id="no redrive"),
        pytest.param(stored("jan", 0, 10, topics=("other.dlq",)), id="of another topic"),
    ],
)
def test_what_leaves_nothing_behind_is_not_named(other: StoredReplay) -> None:
    """A warning on every redrive would be read by nobody."""
    assert left_by(other) == []


def test_a_redrive_that_picks_letters_does_not_stand_on_earlier_ones() -> None:
    """It reads from the start of the topic."""
    assert left_by(stored("jan", 0, 10), asked=redrive(partitions=(0,))) == []


def test_the_account_names_it_and_ends_with_7() -> None:
    """A script that looks at the exit code alone must stop here."""
    made: ReplayPlan = stored("now", 0, 0, is_done=True).plan
    report = Report(GroupState(made, {PLACE: 0}, {}), unfinished=tuple(left_by(stored("jan", 0, 10))))
    assert report.exit_code == EXIT_STOPPED_EARLY
    assert report.line()["complete"]
    assert [one["replay_id"] for one in report.line()["unfinished_redrives"]] == ["jan"]
    assert Report(report.state).exit_code == 0
