"""What stands on a chat, whatever lies on the topic."""

from datetime import UTC, datetime, timedelta

import pytest

from model.policies.context import NO_CONTEXT
from schemas import Decision, OverrideScope
from tests.worker.overrides.parts import NOW, allow, override, scanned, written
from tests.worker.payloads import builder, event
from worker.overrides.applying import applying, newest_of, said_by
from worker.overrides.register import OverrideRegister
from worker.overrides.source import OverrideSource
from worker.process.metrics import Metrics

KEY = b"k" * 32


def refused(metrics: Metrics, reason: str) -> float | None:
    """Return how many records were refused for a reason."""
    return metrics.registry.get_sample_value("moderation_overrides_refused_total", {"reason": reason})


def test_the_newest_record_of_a_key_stands_until_it_is_taken_back() -> None:
    """Other scopes and policies of the chat stand beside it."""
    register = OverrideRegister((), Metrics())
    first, other = override(), override(policy="p", revision=2)
    second = override(decision=Decision.REVIEW, revision=3)
    for one in (first, other, second):
        assert register.take(written(one)) == one
    assert register.of("chat-7") == (other, second)
    assert register.take(scanned(second.key, None)) is None
    assert register.of("chat-7") == (other,)
    register.take(scanned(other.key, None))
    register.take(scanned(other.key, None))
    assert (register.of("chat-7"), list(register)) == ((), [])


def test_a_refused_record_is_counted_and_leaves_what_stands() -> None:
    """An unsigned allow must not take the place of a signed block."""
    metrics = Metrics()
    register = OverrideRegister((KEY,), metrics)
    block = override()
    assert register.take(written(block, KEY)) is not None
    assert register.take(written(override(decision=Decision.REVIEW, revision=2))) is None
    assert register.take(scanned(block.key, b"{}")) is None
    assert register.take(scanned(None, b"{}")) is None
    (standing,) = register.of("chat-7")
    assert standing.decision is Decision.BLOCK
    assert [refused(metrics, reason) for reason in ("unsigned", "unreadable", "key", "signature")] == [1, 1, 1, 0]


def test_a_revision_far_ahead_of_the_clock_counts_for_nothing() -> None:
    """Above the highest number nobody could decide again: an allow of that revision would stay."""
    metrics = Metrics()
    register = OverrideRegister((), metrics)
    now = datetime.now(UTC)
    for ahead in (timedelta(days=1, minutes=1), timedelta(days=400_000)):
        revision = round((now + ahead).timestamp() * 1_000)
        assert register.take(written(allow(revision=revision))) is None
    assert register.take(written(allow(revision=2**63 - 1), KEY)) is None
    assert refused(metrics, "revision") == 3
    assert register.take(written(allow(revision=round((now + timedelta(hours=23)).timestamp() * 1_000)))) is not None


def test_an_allow_speaks_of_one_text_until_it_expires_and_a_block_of_the_chat() -> None:
    """The next message of a chat that was allowed is judged anew."""
    same, other = event(7).fingerprint, event(8).fingerprint
    one, block = allow(), override()
    assert applying([one], same, NOW) == [one]
    assert applying([one], other, NOW) == []
    assert applying([one], same, NOW + timedelta(hours=23, minutes=59)) == [one]
    assert applying([one], same, NOW + timedelta(hours=24)) == []
    assert applying([block], other, NOW + timedelta(days=900)) == [block]
    whole = allow(scope=OverrideScope.CHAT)
    assert applying([whole], other, NOW) == [whole]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_on_one_policy_the_stricter_counts(*, reverse: bool) -> None:
    """Whichever is the newer one; each policy is asked for itself."""
    both = [allow(revision=5), override(revision=4), override(policy="p", decision=Decision.REVIEW, revision=3)]
    said = said_by(both[::-1] if reverse else both)
    assert said == {"*": Decision.BLOCK, "p": Decision.REVIEW}
    assert newest_of(both).revision == 5


def test_what_people_said_is_borne_into_the_decision() -> None:
    """With the revision and the actor of the newest; most events have the very context that says nothing."""
    register = OverrideRegister((), Metrics())
    source = OverrideSource(register, None, clock=lambda: NOW)  # type: ignore[arg-type]  # nothing is due here
    assert source.bear(event(7), builder(), NO_CONTEXT) is NO_CONTEXT
    register.take(written(allow(revision=9)))
    context = source.bear(event(7), builder(), NO_CONTEXT)
    assert (context.said, context.override_revision, context.actor) == ({"*": Decision.ALLOW}, 9, "reviewer-7")
    assert source.bear(event(8, chat_id="chat-7"), builder(), NO_CONTEXT) is NO_CONTEXT
    assert source.bear(event(8), builder(), NO_CONTEXT) is NO_CONTEXT
