from pathlib import Path

import orjson
import pytest

from loadtest.chats import SAMPLE_CHATS, ChatPool, chat_numbers, round_robin
from loadtest.errors import LoadTestError
from schemas import CodecLimits, content_fingerprint, decode_chat_event

LINES = [
    {"chat_id": "a", "category": "B", "messages": [{"id": 1, "role": "user", "content": "hello"}]},
    {"chat_id": "b", "messages": [{"role": "user", "content": "hello"}]},
    {"chat_id": "c", "query": "is this text?"},
    {"chat_id": "d", "messages": []},
    {"messages": [{"role": "user", "content": "no chat id"}]},
]


@pytest.fixture
def pool(tmp_path: Path) -> ChatPool:
    """Return a pool read from good, equal, empty and broken lines."""
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b"\n".join(orjson.dumps(line) for line in LINES) + b"\nnot json\n")
    return ChatPool.read(path, "run")


def test_only_chats_that_the_worker_would_judge_are_sent_and_equal_ones_once(pool: ChatPool) -> None:
    """A dead letter costs nothing to classify, and equal chats in one batch are classified once: both would flatter."""
    assert len(pool) == 2


def test_a_new_chat_number_is_never_the_content_of_another(pool: ChatPool) -> None:
    """A pool smaller than the run must not turn misses into folded duplicates."""
    events = [decode_chat_event(pool.outgoing(number, 0).value, CodecLimits()) for number in range(20)]
    assert len({content_fingerprint(event) for event in events}) == 20
    assert len({event.chat_id for event in events}) == 20


def test_a_known_chat_number_repeats_chat_and_content(pool: ChatPool) -> None:
    """Repeats are what the cache answers; they differ in the event id alone."""
    first = decode_chat_event(pool.outgoing(7, 100).value, CodecLimits())
    again = decode_chat_event(pool.outgoing(7, 101, event_run_id="warm").value, CodecLimits())
    assert (first.chat_id, content_fingerprint(first)) == (again.chat_id, content_fingerprint(again))
    assert (first.event_id, again.event_id) == ("run:100", "warm:101")


def test_a_file_without_a_usable_chat_is_refused(tmp_path: Path) -> None:
    """The alternative is a division by zero far from its cause."""
    path = tmp_path / "chats.jsonl"
    path.write_bytes(b"{}\n")
    with pytest.raises(LoadTestError, match="expected one per line"):
        ChatPool.read(path, "run")
    with pytest.raises(LoadTestError, match="cannot be read"):
        ChatPool.read(tmp_path / "missing.jsonl", "run")


def test_the_sample_that_ships_is_large_enough_for_a_comparison() -> None:
    """The default workload of every command."""
    assert len(ChatPool.read(SAMPLE_CHATS, "run")) > 1_000


def test_the_share_of_repeats_follows_its_setting_and_the_plan_its_seed() -> None:
    """Two runs are comparable only where they sent the same chats."""
    numbers = list(chat_numbers(10_000, repeat_ratio=0.3, seed=1))
    assert numbers == list(chat_numbers(10_000, repeat_ratio=0.3, seed=1))
    assert numbers != list(chat_numbers(10_000, repeat_ratio=0.3, seed=2))
    assert 1 - len(set(numbers)) / len(numbers) == pytest.approx(0.3, abs=0.02)
    assert list(chat_numbers(5, repeat_ratio=0.0, seed=1)) == [0, 1, 2, 3, 4]


def test_round_robin_keeps_equal_chats_as_far_apart_as_it_can() -> None:
    """Close together they would be looked up once per batch, which is not what is being measured."""
    assert list(round_robin(7, 3)) == [0, 1, 2, 0, 1, 2, 0]
