"""Verdicts: deterministic ids, and a cached one is only ever an answer to the same question."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import ModelRef, PolicyRef, Verdict
from tests.worker.payloads import classification, event
from worker.verdict_builder import VerdictBuilder

MODEL = ModelRef(name="m", version="1", digest=f"sha256:{'ab' * 32}")
POLICY = PolicyRef(name="p", version="1")
BUILDER = VerdictBuilder(MODEL, POLICY)
EARLIER, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def fresh(offset: int = 1, *, builder: VerdictBuilder = BUILDER, **fields: Any) -> Verdict:
    """Return a fresh verdict on an event."""
    return builder.fresh(event(offset, **fields), classification(), EARLIER)


def test_the_same_content_gets_the_same_id_wherever_it_comes_from() -> None:
    """F32: upstream sends at least once, and readers drop repeats by the id."""
    first = fresh(1, chat_id="c", messages=[{"id": 1, "role": "user", "content": "hi"}], event_id="a")
    again = fresh(9, chat_id="c", messages=[{"id": 2, "role": "user", "content": "hi"}], event_id="b")
    assert first.verdict_id == again.verdict_id


@pytest.mark.parametrize(
    "other",
    [
        fresh(1, chat_id="another"),
        fresh(1, messages=[{"role": "user", "content": "other text"}]),
        fresh(1, messages=[{"role": "assistant", "content": "text 1"}]),
        fresh(1, builder=VerdictBuilder(MODEL.model_copy(update={"digest": f"sha256:{'cd' * 32}"}), POLICY)),
        fresh(1, builder=VerdictBuilder(MODEL, PolicyRef(name="p", version="2"))),
        fresh(1, builder=VerdictBuilder(MODEL, PolicyRef(name="q", version="1"))),
    ],
    ids=["chat", "text", "role", "model", "policy version", "policy name"],
)
def test_another_chat_content_model_or_policy_gets_another_id(other: Verdict) -> None:
    """An id that two different answers share would make readers drop the second."""
    assert other.verdict_id != fresh(1).verdict_id


def test_a_cached_verdict_is_dressed_as_the_answer_to_this_record() -> None:
    """Same judgement and id; the record, the clock and the event are this one's."""
    cached = fresh(1, chat_id="c", messages=[{"role": "user", "content": "hi"}], event_id="old")
    asked = event(7, chat_id="c", messages=[{"role": "user", "content": "hi"}], event_id="new")
    answer = BUILDER.from_cache(asked, cached, NOW)
    assert (answer.verdict_id, answer.probabilities, answer.decision) == (
        cached.verdict_id,
        cached.probabilities,
        cached.decision,
    )
    assert (answer.cache_hit, answer.event_id, answer.decided_at) == (True, "new", NOW)
    assert answer.source == asked.record.source


def test_a_cached_verdict_answers_only_the_same_content_model_and_policy() -> None:
    """F25: after a new model or policy is rolled out, the old verdicts are misses."""
    asked = event(1)
    cached = BUILDER.fresh(asked, classification(), EARLIER)
    assert BUILDER.answers(cached, asked)
    changes: list[dict[str, Any]] = [
        {"content_fingerprint": "0" * 32},
        {"model": MODEL.model_copy(update={"digest": f"sha256:{'cd' * 32}"})},
        {"policy": PolicyRef(name="p", version="2")},
        {"policy": PolicyRef(name="q", version="1")},
        {"chat_id": "another"},
    ]
    assert not any(BUILDER.answers(cached.model_copy(update=change), asked) for change in changes)


def test_a_replay_is_marked() -> None:
    """Readers must tell a replay's verdicts from live ones."""
    replay = VerdictBuilder(MODEL, POLICY, replay_id="r1")
    assert fresh(1, builder=replay).replay_id == "r1"
    assert replay.from_cache(event(1), fresh(1), NOW).replay_id == "r1"
