import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.run.compact_ledger import CompactLedger
from testkit.topics import Topics

TOPICS = Topics("broker:1", "events", "verdicts", "dlq", "group", 3)


def _sent(n_events: int) -> CompactLedger:
    ledger = CompactLedger(TOPICS, "run", n_events)
    for sequence in range(n_events):
        ledger.handed_over(sequence, float(sequence))
    return ledger


def test_an_event_without_an_answer_is_lost() -> None:
    """A load test that does not notice loss proves nothing about a worker that loses."""
    ledger = _sent(3)
    ledger.answered("run:0", 1.0)
    ledger.answered("run:2", 3.0)
    assert ledger.n_lost == 1
    assert ledger.n_duplicated == 0


def test_a_second_answer_is_a_duplicate_and_changes_neither_latency_nor_count() -> None:
    """Duplicates break exactly-once; they must not repair the count of a lost event either."""
    ledger = _sent(2)
    for now_s in (1.0, 5.0, 9.0):
        ledger.answered("run:0", now_s)
    assert ledger.summary() == {
        "n_sent": 2,
        "n_verdicts": 1,
        "n_dead_letters": 0,
        "n_lost": 1,
        "n_duplicated": 2,
        "n_hits": 0,
    }
    assert len(ledger.latency) == 1


def test_a_dead_letter_is_an_answer_but_not_a_verdict() -> None:
    """Every record ends as a verdict or a dead letter; only silence is loss."""
    ledger = _sent(2)
    ledger.answered("run:0", 1.0, dead_letter=True)
    ledger.answered("run:1", 2.0, cache_hit=True)
    assert (ledger.n_lost, ledger.n_dead_letters, ledger.n_hits) == (0, 1, 1)
    assert ledger.summary()["n_verdicts"] == 1


@pytest.mark.parametrize("event_id", [None, 0, "", "other:0", "run:", "run:x", "run:-1", "run:2", "run:0:0"])
def test_answers_to_other_traffic_are_not_booked(event_id: object) -> None:
    """Given servers may carry other events than ours."""
    ledger = _sent(2)
    ledger.answered(event_id, 1.0)
    assert (ledger.n_foreign, ledger.n_answered, ledger.n_lost) == (1, 0, 2)


def test_latency_counts_from_the_intended_send_time() -> None:
    """Counted from the real send time, a generator held up by the system under test would hide the stall."""
    ledger = CompactLedger(TOPICS, "run", 1)
    ledger.handed_over(0, 10.0)
    ledger.answered("run:0", 10.25)
    assert ledger.latency.percentile_ms(50) == pytest.approx(250, rel=0.002)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.integers(min_value=0, max_value=19), max_size=100))
def test_lost_and_answered_always_add_up_to_sent(answers: list[int]) -> None:
    """The account must balance whatever comes back, in whatever order."""
    ledger = _sent(20)
    for sequence in answers:
        ledger.answered(f"run:{sequence}", 100.0)
    assert ledger.n_answered + ledger.n_lost == ledger.n_sent
    assert ledger.n_answered == len(set(answers))
    assert ledger.n_duplicated == len(answers) - len(set(answers))
