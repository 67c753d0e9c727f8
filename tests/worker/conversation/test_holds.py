"""Which earlier block holds an event, and what is left of it afterwards: by the time of the records."""

from datetime import timedelta
from typing import Any

import pytest

from schemas import DecidedBy, Decision, PreviousDecision
from schemas.conversation_state import ConversationState
from tests.worker.conversation.parts import HOUR_MS, T0, T0_MS, holding_builder, policy, verdict
from tests.worker.payloads import builder, record
from worker.conversation.holds import bearing, happened_ms, holding, newest, state_after

HOLDING = {"p": policy(), "q": policy("q", hold_s=7_200.0)}


def blocked(offset: int = 10, at_ms: int = T0_MS, *names: str) -> ConversationState:
    """Return the state after a block by some policies, by default `p`."""
    said: dict[str, Any] = dict.fromkeys(names or ("p",), Decision.BLOCK)
    state = state_after(None, verdict(offset, **said), HOLDING, offset=offset, at_ms=at_ms)
    assert state is not None
    return state


def test_only_policies_that_ask_for_it_hold() -> None:
    """Where none does, nothing is remembered."""
    assert holding(None) == {}
    assert holding(holding_builder(policy("a", hold_s=0.0)).policies) == {}
    assert list(holding(holding_builder(policy("a", hold_s=0.0), policy("b")).policies)) == ["b"]


@pytest.mark.parametrize(("after_ms", "is_held"), [(0, True), (HOUR_MS - 1, True), (HOUR_MS, False), (-HOUR_MS, True)])
def test_a_block_holds_for_its_time_and_no_longer(after_ms: int, is_held: bool) -> None:
    """A later record with an earlier clock is held, too."""
    found = bearing(blocked(), HOLDING, offset=11, at_ms=T0_MS + after_ms)
    assert bool(found) == is_held


@pytest.mark.parametrize("offset", [9, 10])
def test_a_block_bears_on_higher_offsets_only(offset: int) -> None:
    """An event that is read again must not be held by what came of it, or of one behind it."""
    assert bearing(blocked(10), HOLDING, offset=offset, at_ms=T0_MS) == {}


def test_each_policy_holds_what_it_blocked_itself() -> None:
    """`q` holds for two hours, `p` for one; `r` does not hold."""
    state = blocked(10, T0_MS, "p", "q", "r")
    assert state.held.keys() == {"p", "q"}
    assert bearing(state, HOLDING, offset=11, at_ms=T0_MS).keys() == {"p", "q"}
    assert bearing(state, HOLDING, offset=11, at_ms=T0_MS + HOUR_MS).keys() == {"q"}
    assert bearing(state, {"p": HOLDING["p"]}, offset=11, at_ms=T0_MS).keys() == {"p"}


def test_the_previous_decision_is_the_newest_block_that_holds() -> None:
    """A verdict names one."""
    first = blocked(10, T0_MS, "q")
    later = verdict(12, decided_at=T0 + timedelta(minutes=5), p=Decision.BLOCK)
    state = state_after(first, later, HOLDING, offset=12, at_ms=T0_MS + 300_000)
    assert state is not None
    blocks = bearing(state, HOLDING, offset=13, at_ms=T0_MS + 300_000)
    assert blocks.keys() == {"p", "q"}
    assert newest(blocks) == PreviousDecision(decision=Decision.BLOCK, offset=12, decided_at=T0 + timedelta(minutes=5))


def test_a_second_block_lengthens_a_hold_and_a_second_reading_does_not() -> None:
    """Redelivered with another clock, because the record has none: the hold still ends when it was said to."""
    state = blocked(10)
    again = state_after(state, verdict(10, p=Decision.BLOCK), HOLDING, offset=10, at_ms=T0_MS + 60_000)
    earlier = state_after(state, verdict(8, p=Decision.BLOCK), HOLDING, offset=8, at_ms=T0_MS + 60_000)
    assert again == earlier == state
    second = state_after(state, verdict(11, p=Decision.BLOCK), HOLDING, offset=11, at_ms=T0_MS + 60_000)
    assert second is not None
    assert (second.held["p"].offset, second.until_ms) == (11, T0_MS + 60_000 + HOUR_MS)


def test_a_late_record_takes_nothing_off_a_hold() -> None:
    """Its block is over before the one that is known."""
    state = state_after(blocked(10), verdict(11, p=Decision.BLOCK), HOLDING, offset=11, at_ms=T0_MS - 60_000)
    assert state is not None
    assert state.held["p"].offset == 10
    assert state.last.offset == 11


def test_a_chat_whose_holds_are_over_has_no_state() -> None:
    """And one that was never blocked has none, either."""
    allowed = verdict(11, p=Decision.ALLOW)
    assert state_after(None, allowed, HOLDING, offset=11, at_ms=T0_MS) is None
    assert state_after(blocked(), allowed, HOLDING, offset=11, at_ms=T0_MS + HOUR_MS) is None
    both = blocked(10, T0_MS, "p", "q")
    left = state_after(both, allowed, HOLDING, offset=11, at_ms=T0_MS + HOUR_MS)
    assert left is not None
    assert left.held.keys() == {"q"}
    assert left.last == PreviousDecision(decision=Decision.ALLOW, offset=11, decided_at=T0)


def test_a_policy_that_is_away_for_a_while_finds_its_holds_again() -> None:
    """Its file was refused at a start, and is mended minutes later; what is over meanwhile is left out."""
    both = blocked(10, T0_MS, "p", "q")
    without_q = {"p": policy("p")}
    meanwhile = state_after(both, verdict(11, p=Decision.ALLOW), without_q, offset=11, at_ms=T0_MS + 60_000)
    assert meanwhile is not None
    assert bearing(meanwhile, without_q, offset=12, at_ms=T0_MS + 60_000).keys() == {"p"}
    assert bearing(meanwhile, HOLDING, offset=12, at_ms=T0_MS + 60_000).keys() == {"p", "q"}
    over = both.held["q"].until_ms
    assert state_after(both, verdict(11, p=Decision.ALLOW), without_q, offset=11, at_ms=over) is None


@pytest.mark.parametrize("by", [DecidedBy.OVERRIDE, DecidedBy.DENY_LIST])
def test_what_a_person_or_a_list_blocks_begins_no_hold(by: DecidedBy) -> None:
    """Taking the word back would else leave the chat held."""
    assert state_after(None, verdict(10, by=by, p=Decision.BLOCK), HOLDING, offset=10, at_ms=T0_MS) is None


@pytest.mark.parametrize(
    "dates", [{"valid_from": T0 + timedelta(seconds=1)}, {"valid_until": T0}], ids=["not yet", "no longer"]
)
def test_a_block_outside_the_policys_dates_begins_no_hold(dates: dict[str, Any]) -> None:
    """It blocks every chat then, and says nothing of this one."""
    over = {"p": policy(**dates)}
    by_dates = verdict(10, by=DecidedBy.ADVERTISER, p=Decision.BLOCK)
    assert state_after(None, by_dates, over, offset=10, at_ms=T0_MS) is None


def test_a_policy_that_holds_for_a_shorter_time_by_now_ends_older_holds_too() -> None:
    """An operator who lowers it expects chats to be free; raising it changes no hold that was begun."""
    shorter, longer = {"p": policy(hold_s=60.0)}, {"p": policy(hold_s=86_400.0)}
    assert bearing(blocked(), shorter, offset=11, at_ms=T0_MS + 59_999)
    assert not bearing(blocked(), shorter, offset=11, at_ms=T0_MS + 60_000)
    assert not bearing(blocked(), longer, offset=11, at_ms=T0_MS + HOUR_MS)


def test_time_is_the_records_unless_it_cannot_be() -> None:
    """A record from the future would hold its chat for years."""
    one = record(1)
    assert happened_ms(one._replace(timestamp_ms=T0_MS - 5), T0) == T0_MS - 5
    assert happened_ms(one._replace(timestamp_ms=-1), T0) == T0_MS
    assert happened_ms(one._replace(timestamp_ms=T0_MS + HOUR_MS), T0) == T0_MS


def test_a_builder_without_policies_holds_nothing() -> None:
    """As tests and comparisons build it."""
    assert holding(builder().policies) == {}
