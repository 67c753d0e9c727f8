"""One account, two ledgers: the one that keeps every record and the compact one of the load tests.

What one of them notices, the other notices: the same cases run on both.
"""

from collections.abc import Callable

import orjson
import pytest
from confluent_kafka import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from loadtest.run.compact_ledger import CompactLedger
from testkit.ledger import Account, Ledger
from testkit.records import InputRecord, OutputRecord, Place
from testkit.topics import Topics

TOPICS = Topics("broker:1", "events", "verdicts", "dlq", "group", 1)
CHATS = (0, 1, 0, 1, 0)
"""Chat of each event; one input partition holds them all, in turn."""
N_EVENTS = len(CHATS)

LEDGERS: dict[str, Callable[[], Account]] = {
    "every record": lambda: Ledger(TOPICS),
    "compact": lambda: CompactLedger(TOPICS, "run"),
}


def event(number: int) -> InputRecord:
    """Return the event of this number."""
    chat_id = f"run-{CHATS[number % N_EVENTS]}"
    return InputRecord(chat_id.encode(), orjson.dumps({"chat_id": chat_id, "event_id": f"run:{number}"}))


def verdict(number: int, *, at: int | None = None) -> Message:
    """Return the verdict on an event, at an offset of its own."""
    source = {"topic": TOPICS.events, "partition": 0, "offset": number}
    content = orjson.loads(event(number).value or b"") | {"cache_hit": False, "source": source}
    offset = number if at is None else at
    return Message(TOPICS.verdicts, 0, offset, key=event(number).key, value=orjson.dumps(content))


def override(number: int, *, at: int) -> Message:
    """Return a person's decision on an event, at an offset of its own."""
    message = verdict(number, at=at)
    message.set_value(orjson.dumps(orjson.loads(message.value() or b"") | {"kind": "override"}))
    return message


def dead_letter(number: int, *, at: int | None = None) -> Message:
    """Return the dead letter of an event, at an offset of its own."""
    named = {"origin_topic": TOPICS.events, "origin_partition": "0", "origin_offset": str(number)}
    headers: list[tuple[str, str | bytes | None]] = [(name, value.encode()) for name, value in named.items()]
    sent, offset = event(number), number if at is None else at
    return Message(TOPICS.dead_letters, 0, offset, key=sent.key, value=sent.value, headers=headers)


def send(ledger: Account) -> None:
    """Send all events."""
    for number in range(N_EVENTS):
        ledger.handed_over(number, float(number))
        ledger.acknowledged(Place(TOPICS.events, 0, number), event(number))


def settle(ledger: Account, seen: list[Message], final: list[Message] | None = None) -> None:
    """Book what the reader beside has seen, and settle with one that comes last, by default of the same records."""
    ledger.take(seen, 10.0)
    ledger.assert_exactly_once([OutputRecord.of(message) for message in (seen if final is None else final)])


@pytest.fixture(params=LEDGERS)
def ledger(request: pytest.FixtureRequest) -> Account:
    """Return each ledger in turn, with all events sent."""
    one = LEDGERS[request.param]()
    send(one)
    return one


def test_an_account_is_settled_when_each_event_has_one_verdict_or_dead_letter(ledger: Account) -> None:
    """The ordinary run; chats may overtake one another."""
    settle(ledger, [verdict(1), verdict(0), dead_letter(2), verdict(4), verdict(3)])
    assert (ledger.n_sent, ledger.n_answered, ledger.n_lost) == (N_EVENTS, N_EVENTS, 0)
    assert (ledger.n_duplicated, ledger.n_out_of_order, ledger.n_foreign, ledger.n_dead_letters) == (0, 0, 0, 1)


def test_a_persons_decision_is_no_outcome_and_may_come_twice(ledger: Account) -> None:
    """I1 to I3 are about events; an override neither doubles one, nor answers it, nor breaks the order of its chat."""
    seen = [verdict(number) for number in range(N_EVENTS)]
    settle(ledger, [*seen, override(0, at=8), override(0, at=9)])
    assert (ledger.n_answered, ledger.n_duplicated, ledger.n_out_of_order, ledger.n_foreign) == (N_EVENTS, 0, 0, 0)


def test_a_persons_decision_does_not_make_good_for_a_lost_event(ledger: Account) -> None:
    """Else an override would hide what the worker lost."""
    with pytest.raises(AssertionError, match="I1: lost"):
        settle(ledger, [*(verdict(number) for number in range(N_EVENTS - 1)), override(N_EVENTS - 1, at=9)])
    assert ledger.n_lost == 1


def test_an_event_without_an_outcome_is_lost(ledger: Account) -> None:
    """I1, the promise that everything else rests on."""
    with pytest.raises(AssertionError, match="I1: lost"):
        settle(ledger, [verdict(number) for number in range(N_EVENTS - 1)])
    assert ledger.n_lost == 1


def test_an_event_that_only_the_last_reader_misses_is_lost_too(ledger: Account) -> None:
    """The reader beside may have seen what nobody sees any more."""
    seen = [verdict(number) for number in range(N_EVENTS)]
    with pytest.raises(AssertionError, match="I1: lost"):
        settle(ledger, seen, seen[:-1])


@pytest.mark.parametrize("second", [verdict, dead_letter])
def test_a_second_outcome_of_either_kind_breaks_exactly_once(ledger: Account, second: Callable[..., Message]) -> None:
    """I2 holds across both topics; a second outcome does not make good for a lost one."""
    with pytest.raises(AssertionError, match="I2: "):
        settle(ledger, [*(verdict(number) for number in range(N_EVENTS)), second(3, at=9)])
    assert (ledger.n_duplicated, ledger.n_lost) == (1, 0)


def test_verdicts_of_a_chat_that_are_not_in_its_order_are_noticed(ledger: Account) -> None:
    """I3: a reader that keeps the newest verdict of each chat would keep the wrong one."""
    with pytest.raises(AssertionError, match="I3: "):
        settle(ledger, [verdict(2), verdict(0), verdict(1), verdict(3), verdict(4)])
    assert ledger.n_out_of_order == 1


def test_a_verdict_that_was_seen_and_then_aborted_is_noticed_though_it_came_again(ledger: Account) -> None:
    """I4: each reader for itself finds nothing wrong; only together they show it."""
    seen = [verdict(number) for number in range(N_EVENTS)]
    with pytest.raises(AssertionError, match="I4: readers disagree"):
        settle(ledger, seen, [*seen[:-1], verdict(N_EVENTS - 1, at=9)])


def test_an_outcome_of_something_that_was_not_sent_is_foreign_and_answers_nothing(ledger: Account) -> None:
    """An outcome that names the wrong record must not hide a lost one."""
    ledger.take([verdict(17)], 10.0)
    assert (ledger.n_foreign, ledger.n_answered, ledger.n_lost) == (1, 0, N_EVENTS)


@pytest.mark.parametrize("name", LEDGERS)
def test_an_outcome_may_be_read_before_the_broker_acknowledges_its_event(name: str) -> None:
    """Two connections: the verdict can overtake the acknowledgement of a slow producer."""
    ledger = LEDGERS[name]()
    ledger.handed_over(0, 0.0)
    assert ledger.n_lost == 1
    ledger.take([verdict(0)], 1.0)
    ledger.acknowledged(Place(TOPICS.events, 0, 0), event(0))
    assert (ledger.n_answered, ledger.n_lost) == (1, 0)


def test_the_full_ledger_names_what_is_wrong_and_compares_contents() -> None:
    """A dead letter is the event itself, to the byte; a place can be looked up, a count cannot."""
    ledger = Ledger(TOPICS)
    send(ledger)
    altered = dead_letter(2)
    altered.set_value(b"other")
    with pytest.raises(AssertionError, match="not the event that lies at"):
        settle(ledger, [verdict(0), verdict(1), altered, verdict(3), verdict(4)])
    ledger.take([verdict(4, at=9), verdict(17)], 11.0)
    faults = ledger.faults()
    assert (faults.missing, faults.doubled) == ([], [Place(TOPICS.events, 0, 4)])
    assert faults.unknown == [Place(TOPICS.events, 0, 17)]


def test_a_record_that_a_reader_sees_again_is_no_second_outcome() -> None:
    """After an unclean end of the broker a reader may have to begin again."""
    ledger = Ledger(TOPICS)
    send(ledger)
    seen = [verdict(number) for number in range(N_EVENTS)]
    ledger.take(seen, 1.0)
    settle(ledger, seen)
    assert ledger.n_duplicated == 0


def test_an_outcome_that_nobody_can_read_does_not_end_the_readers_thread() -> None:
    """The thread would be gone without a word; the record is foreign, and the assertions meet it."""
    ledger = Ledger(TOPICS)
    ledger.take([Message(TOPICS.verdicts, 0, 0, value=b"no verdict"), Message(TOPICS.dead_letters, 0, 0)], 1.0)
    assert (ledger.n_foreign, ledger.n_seen) == (2, 2)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.integers(0, N_EVENTS + 1), st.booleans()), max_size=30))
def test_both_ledgers_agree_on_every_count_whatever_comes_back(outcomes: list[tuple[int, bool]]) -> None:
    """The compact one stands in for the other wherever there are too many events for it."""
    seen = [(dead_letter if is_letter else verdict)(number, at=at) for at, (number, is_letter) in enumerate(outcomes)]
    found = []
    for make in LEDGERS.values():
        one = make()
        send(one)
        one.take(seen, 1.0)
        assert one.n_answered + one.n_lost == one.n_sent
        found.append((one.n_answered, one.n_duplicated, one.n_out_of_order, one.n_dead_letters, one.n_foreign))
    assert found[0] == found[1]
