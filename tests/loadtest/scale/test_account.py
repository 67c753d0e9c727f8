"""The account of `scale-demo`: what it must notice, and what a pause is."""

from typing import Any

import orjson
import pytest
from confluent_kafka import Message

from loadtest.scale.account import ScaleAccount
from loadtest.scale.command import is_right
from testkit.topics import Topics

TOPICS = Topics("broker:9092", "events", "verdicts", "dlq", "group", 12)


def outcome(topic: str, content: dict[str, Any]) -> Message:
    """Return a record of an output topic as the reader hands it over."""
    return Message(topic=topic, partition=0, offset=0, value=orjson.dumps(content))


def verdict(event_id: str, chat: int, offset: int) -> Message:
    """Return a verdict as the reader hands it over."""
    content = {"event_id": event_id, "chat_id": f"chat-{chat}", "source": {"offset": offset}, "cache_hit": False}
    return outcome("verdicts", content)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return the monotonic clock, to be set by its first element."""
    now = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: now[0])
    return now


def test_the_pause_of_a_chat_is_its_longest_wait_among_the_events_of_a_phase(clock: list[float]) -> None:
    """Each event counts where it was sent, however late its verdict comes."""
    account = ScaleAccount("run", TOPICS)
    account.begin("calm")
    first, second = account.sent(0), account.sent(1)
    clock[0] = 10.0
    account.begin("storm")
    third, fourth = account.sent(0), account.sent(0)
    account.take([verdict(first, 0, 0), verdict(second, 1, 0)], 1.0)
    account.take([verdict(third, 0, 1), verdict(fourth, 0, 2)], 14.0)
    calm, storm = account.phases()
    assert (calm["name"], calm["n_events"], calm["n_chats"], calm["pause_max_s"]) == ("calm", 2, 2, 1.0)
    assert (storm["name"], storm["n_events"], storm["n_chats"], storm["pause_max_s"]) == ("storm", 2, 1, 4.0)


def test_loss_repeats_disorder_and_dead_letters_are_counted_and_other_traffic_is_not() -> None:
    """A demonstration that cannot fail shows nothing."""
    account = ScaleAccount("run", TOPICS)
    account.begin("only")
    ids = [account.sent(0) for _ in range(4)]
    letter = outcome("dlq", {"event_id": ids[2]})
    account.take([verdict(ids[1], 0, 1), verdict(ids[0], 0, 0), verdict(ids[0], 0, 2), letter], 1.0)
    account.take([verdict("elsewhere:9", 0, 0)], 1.0)
    summary = account.summary()
    assert (summary["n_lost"], summary["n_duplicated"], summary["n_out_of_order"]) == (1, 1, 1)
    assert summary["n_dead_letters"] == 1


@pytest.mark.parametrize("wrong", ["n_lost", "n_duplicated", "n_out_of_order", "n_dead_letters", "pause"])
def test_the_command_fails_for_each_broken_promise(wrong: str) -> None:
    """Exit code 4; without one it is 0."""
    run: dict[str, Any] = {
        **dict.fromkeys(("n_lost", "n_duplicated", "n_out_of_order", "n_dead_letters"), 0),
        "phases": [{"pause_max_s": 3.0}],
        "bound_s": 45.0,
    }
    assert is_right(run)
    broken: dict[str, Any] = {"phases": [{"pause_max_s": 50.0}]} if wrong == "pause" else {wrong: 1}
    assert not is_right(run | broken)
