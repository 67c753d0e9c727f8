"""What stands on the overrides topic, with what was written here and is not read back yet, and what a row becomes."""

from datetime import UTC, datetime, timedelta

import pytest

from console.pipeline.errors import PipelineAway
from console.pipeline.overrides import Cleared, Decided, OverrideTopic, Planned, Seen, in_force, refusal_of
from console.pipeline.writer import RecordRefused
from schemas import Decision, Override, OverrideScope, Source
from tests.console.operations import worker_settings
from tests.worker.overrides.parts import NOW, allow, override, scanned, written
from worker.overrides.records import decision_topics

SEEN = Seen("chat-7", "0f" * 16, "1e" * 16, Source(topic="t", partition=0, offset=7, timestamp_ms=1), 0)


@pytest.fixture
def topic() -> OverrideTopic:
    """Return what has read an empty topic of three partitions."""
    settings = worker_settings()
    made = OverrideTopic(settings)
    made._topics = decision_topics(settings, 3)
    return made


def decided(decision: Decision = Decision.BLOCK, **changed: object) -> Decided:
    """Return a decision of now."""
    return Decided(SEEN, decision, "*", whole_chat=False, lasts=None, actor="r7", reason="abuse", at=NOW)._replace(
        **changed  # type: ignore[arg-type]  # fields of it
    )


def cleared(**changed: object) -> Cleared:
    """Return that whatever stands is taken back."""
    return Cleared("chat-7", None, None, None, "r8", "mistake", NOW)._replace(**changed)  # type: ignore[arg-type]


def wrote(topic: OverrideTopic, decision: Decision, kept: int | None = None) -> tuple[Planned, Override]:
    """Plan a decision and take that it was written."""
    planned = topic.plan(decided(decision), "d1", kept, NOW)
    topic.written(planned)
    ((said, _),) = planned.changes
    return planned, said


def test_what_was_written_here_counts_before_it_is_read_back(topic: OverrideTopic) -> None:
    """The next row of the chat is planned a moment later; records that lie before it say nothing any more."""
    planned, said = wrote(topic, Decision.BLOCK)
    assert topic.of_chat("chat-7") == (said,)
    taken_back = topic.plan_clear(cleared(), "d2")
    topic.written(taken_back)
    assert topic.of_chat("chat-7") == ()
    topic._take([written(override(revision=3)), written(said)])
    assert topic.of_chat("chat-7") == (), "both lie before the tombstone"
    topic._take([scanned(said.key, None)])
    assert topic.of_chat("chat-7") == ()
    later = override(revision=planned.revision or 0)
    topic._take([written(later)])
    assert topic.of_chat("chat-7") == (later,), "somebody else's, behind it"


def test_what_others_write_and_forge_is_taken_and_left_alone(topic: OverrideTopic) -> None:
    """As workers do it."""
    topic._take([written(override()), written(allow()), scanned(b"k", b"{}"), scanned(None, b"{}")])
    assert len(topic.of_chat("chat-7")) == 2
    topic._take([scanned(override().key, None)])
    assert [one.decision for one in topic.of_chat("chat-7")] == [Decision.ALLOW]
    assert in_force(topic.of_chat("chat-7"), NOW + timedelta(days=2)) == []


def test_a_first_try_gets_a_revision_and_later_ones_keep_it(topic: OverrideTopic) -> None:
    """Whatever the clock says then; the records are the same bytes."""
    first = topic.plan(decided(), "d1", None, NOW)
    again = topic.plan(decided(), "d1", first.revision, NOW + timedelta(hours=5))
    assert (again.revision, again.records) == (first.revision, first.records)


def test_a_later_decision_under_the_same_key_is_not_overwritten_by_a_repeat(topic: OverrideTopic) -> None:
    """The topic keeps the last that is written."""
    topic._take([written(override(revision=9))])
    planned = topic.plan(decided(), "d1", 8, NOW)
    assert (planned.records, planned.note) == ((), "a later decision stands in its place")


def test_an_allow_beside_a_stricter_word_is_refused_unless_it_may_be_written_already(topic: OverrideTopic) -> None:
    """A repeat must not turn a decision that is on the topic into a refused one."""
    topic._take([written(override())])
    with pytest.raises(RecordRefused, match="DELETE /v1/overrides"):
        topic.plan(decided(Decision.ALLOW), "d1", None, NOW)
    assert topic.plan(decided(Decision.ALLOW), "d1", 5, NOW).records
    assert refusal_of(decided(Decision.ALLOW), topic.of_chat("chat-7"), NOW) is not None
    assert refusal_of(decided(), topic.of_chat("chat-7"), NOW) is None


def test_values_that_do_not_fit_are_refused_by_name(topic: OverrideTopic) -> None:
    """The row would else be tried for ever."""
    with pytest.raises(RecordRefused, match="actor"):
        topic.plan(decided(actor="Jane Doe"), "d1", None, NOW)
    with pytest.raises(RecordRefused, match="forged"):
        topic.plan(decided(seen=SEEN._replace(override_revision=2**60)), "d1", None, datetime.now(UTC))


def test_only_what_is_meant_is_taken_back(topic: OverrideTopic) -> None:
    """By policy, scope, or the revision of what is undone; two at once have ids of their own."""
    both = [override(revision=5), allow(revision=6, policy="ads")]
    topic._take([written(one) for one in both])

    def keys(**changed: object) -> list[bytes]:
        return [one.key for one, stands in topic.plan_clear(cleared(**changed), "d1").changes if not stands]

    assert keys() == [one.key for one in both]
    assert keys(policy="ads") == [both[1].key]
    assert keys(whole_chat=True) == [both[0].key]
    assert keys(whole_chat=False) == [both[1].key]
    assert keys(revision=6) == [both[1].key]
    nothing = topic.plan_clear(cleared(revision=7), "d1")
    assert (nothing.records, nothing.note) == ([], "nothing stood any more")
    logged = [one.value for one in topic.plan_clear(cleared(), "d1").records if one.topic == "verdict-decisions"]
    assert len(set(logged)) == 2
    assert topic.plan(decided(), "d1", None, NOW).changes[0][0].scope is OverrideScope.CHAT


def test_before_the_topic_was_read_nothing_is_planned() -> None:
    """What stands beside it is not known."""
    topic = OverrideTopic(worker_settings())
    assert not topic.is_known
    with pytest.raises(PipelineAway):
        topic.plan(decided(), "d1", None, NOW)
