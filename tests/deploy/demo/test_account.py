"""The account of a demo run: what it must notice."""

from deploy.demo.events import Kind, Phase, Publication
from testkit.records import Place
from tests.deploy.demo.records import dead_letter, new_account, place, publish, verdict


def test_an_account_balances_when_each_event_has_one_answer() -> None:
    """A verdict and a dead letter are worth the same: the event has ended."""
    ledger = new_account()
    publish(ledger, 0)
    publish(ledger, 1)
    ledger.answer(verdict(0))
    ledger.answer(dead_letter(1))
    assert ledger.n_open == 0
    assert not ledger.problems()


def test_an_event_without_an_answer_is_missing() -> None:
    """The demo must not end well when the worker loses an event."""
    ledger = new_account()
    publish(ledger, 0)
    publish(ledger, 1)
    ledger.answer(verdict(1))
    assert ledger.n_open == 1
    assert ledger.problems().missing == [place(0)]


def test_an_event_with_a_verdict_and_a_dead_letter_is_doubled() -> None:
    """Exactly one of the two, across both topics."""
    ledger = new_account()
    publish(ledger, 0)
    ledger.answer(verdict(0))
    ledger.answer(dead_letter(0))
    assert ledger.n_open == 0
    assert ledger.problems().doubled == [place(0)]


def test_an_answer_to_a_record_nobody_published_is_unknown() -> None:
    """An offset that names the wrong record would otherwise hide as a missing one alone."""
    ledger = new_account()
    publish(ledger, 0)
    ledger.answer(verdict(7))
    assert ledger.problems().unknown == [place(7)]
    assert ledger.problems().missing == [place(0)]


def test_records_with_equal_content_are_told_apart_by_their_place() -> None:
    """A repeat has the bytes of its original; each needs an answer of its own."""
    ledger = new_account()
    publication = Publication(Kind.CHAT, b"k", b"same")
    for partition in (0, 1):
        ledger.hand_over()
        ledger.acknowledge(Place("chat-events", partition, 0), publication, Phase.BACKLOG)
    ledger.answer(verdict(0))
    assert ledger.problems().missing == [Place("chat-events", 1, 0)]


def test_an_answer_may_be_read_before_the_broker_acknowledges_its_event() -> None:
    """Two connections: the verdict can overtake the acknowledgement of a slow producer."""
    ledger = new_account()
    ledger.hand_over()
    ledger.answer(verdict(0))
    assert ledger.n_open == 1
    ledger.acknowledge(place(0), Publication(Kind.CHAT, b"k", b"v"), Phase.BACKLOG)
    assert ledger.n_open == 0
    assert not ledger.problems()


def test_an_event_that_the_broker_never_acknowledged_stays_open() -> None:
    """It has no place, so it cannot be missing by name; the run must not look complete all the same."""
    ledger = new_account()
    ledger.hand_over()
    assert ledger.n_open == 1
