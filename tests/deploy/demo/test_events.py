"""What the demo publishes."""

from collections import Counter
from pathlib import Path

import orjson
import pytest

from deploy.demo.__main__ import SAMPLE
from deploy.demo.errors import EventsError
from deploy.demo.events import Kind, Plan, Publication, make_plan, read_lines
from deploy.demo.malformed import MALFORMED, Malformed
from schemas import CHAT_13, CodecLimits, RecordRejected, decode_chat_event


def plan_of(lines: list[bytes], *, seed: int) -> Plan:
    """Return the plan for a bundle of chat-13."""
    return make_plan(lines, seed=seed, codes=CHAT_13.codes)


def _all(plan: Plan) -> list[Publication]:
    return [plan.first, *plan.backlog, *plan.paced]


@pytest.fixture(scope="module")
def sample() -> list[bytes]:
    """Return the lines of the shipped sample."""
    return read_lines(SAMPLE, limit=None)


@pytest.mark.parametrize("limit", [1, 7, 8, 200, None])
def test_every_line_is_published_once_as_it_is(sample: list[bytes], limit: int | None) -> None:
    """The numbers of a run are about the file that was given, whatever else is published."""
    lines = sample[:limit]
    published = [p.value for p in _all(plan_of(lines, seed=3)) if p.kind in (Kind.CHAT, Kind.GROWN)]
    assert sorted(filter(None, published)) == sorted(lines)


def test_the_sample_gives_malformed_repeated_and_grown_events(sample: list[bytes]) -> None:
    """The demo shows dead letters, cache hits and a chat that changes its verdict's content."""
    kinds = Counter(p.kind for p in _all(plan_of(sample, seed=1)))
    assert kinds[Kind.MALFORMED] == len(MALFORMED)
    assert kinds[Kind.REPEAT] == 25
    assert kinds[Kind.EARLIER] == kinds[Kind.GROWN] == 20


def test_a_chat_grows_by_further_messages_in_a_later_phase(sample: list[bytes]) -> None:
    """The earlier state must be judged before, so that the later one replaces its verdict."""
    plan = plan_of(sample, seed=1)
    grown = {p.key: orjson.loads(p.value or b"") for p in plan.paced if p.kind is Kind.GROWN}
    for earlier in (p for p in plan.backlog if p.kind is Kind.EARLIER):
        before, after = orjson.loads(earlier.value or b""), grown[earlier.key]
        assert 0 < len(before["messages"]) < len(after["messages"])
        assert after["messages"][: len(before["messages"])] == before["messages"]


def test_a_repeat_comes_in_a_later_phase_than_its_original(sample: list[bytes]) -> None:
    """Only a verdict that is known by then can be a cache hit."""
    plan = plan_of(sample, seed=1)
    originals = {p.value for p in plan.backlog if p.kind is Kind.CHAT}
    repeats = [p.value for p in plan.paced if p.kind is Kind.REPEAT]
    assert repeats
    assert set(repeats) <= originals


def test_lines_of_one_chat_keep_their_order() -> None:
    """A file with several states of a chat is history; an older state must not come last."""
    lines = [
        orjson.dumps({"chat_id": f"chat-{i % 5}", "messages": [{"role": "user", "content": f"state {i}"}]})
        for i in range(60)
    ]
    for seed in range(5):
        published = [p for p in _all(plan_of(lines, seed=seed)) if p.kind is not Kind.MALFORMED]
        for chat in range(5):
            values = [p.value for p in published if p.key == f"chat-{chat}".encode()]
            assert values == [line for i, line in enumerate(lines) if i % 5 == chat]


def test_the_same_seed_gives_the_same_plan(sample: list[bytes]) -> None:
    """Two runs can be compared."""
    assert plan_of(sample[:100], seed=5) == plan_of(sample[:100], seed=5)
    assert plan_of(sample[:100], seed=5) != plan_of(sample[:100], seed=6)


@pytest.mark.parametrize("bad", MALFORMED.values(), ids=MALFORMED.keys())
def test_each_malformed_record_is_rejected_for_the_reason_it_was_made_for(bad: Malformed) -> None:
    """A malformed record that were accepted would make the demo prove nothing."""
    with pytest.raises(RecordRejected) as caught:
        decode_chat_event(bad.value, CodecLimits())
    assert caught.value.reason is bad.reason


def test_lines_that_are_no_events_are_published_all_the_same() -> None:
    """Upstream does not validate either; they are the worker's to reject."""
    lines = [b"nonsense", b"[]", b'{"chat_id": 7}', b'{"chat_id": "a", "messages": "x"}', b'{"messages": [1]}'] * 5
    plan = plan_of(lines, seed=1)
    assert Counter(p.kind for p in _all(plan)) == {Kind.CHAT: 25, Kind.MALFORMED: len(MALFORMED)}
    assert {p.key for p in _all(plan) if p.kind is Kind.CHAT} == {None, b"a"}


def test_a_label_is_taken_only_where_it_is_a_category_code() -> None:
    """A file with other labels must not turn the comparison into nonsense."""
    lines = [b'{"chat_id": "a", "category": "J", "query": "x"}', b'{"chat_id": "b", "category": "sports"}']
    labels = {p.key: p.label for p in _all(plan_of(lines, seed=1)) if p.kind is Kind.CHAT}
    assert labels == {b"a": "J", b"b": None}
    other = make_plan(lines, seed=1, codes=["sports", "news"])
    assert {p.key: p.label for p in _all(other) if p.kind is Kind.CHAT} == {b"a": None, b"b": "sports"}


def test_blank_lines_are_left_out_and_the_limit_counts_the_others(tmp_path: Path) -> None:
    """An editor's last empty line is no event."""
    path = tmp_path / "events.jsonl"
    path.write_bytes(b'\n{"query": 1}\r\n  \n{"query": 2}\n{"query": 3}\n\n')
    assert read_lines(path, limit=2) == [b'{"query": 1}', b'{"query": 2}']


@pytest.mark.parametrize("content", [None, b"", b"\n\n"])
def test_a_file_without_events_is_refused_before_anything_starts(tmp_path: Path, content: bytes | None) -> None:
    """The file and what was expected are named."""
    path = tmp_path / "events.jsonl"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EventsError, match=r"events\.jsonl: .*expected"):
        read_lines(path, limit=None)
