"""Verdicts: deterministic ids, and a cached one is only ever an answer to the same question."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from model import DecisionRule
from model.calibration import RiskCurves
from schemas import (
    DEFAULT_POLICY,
    Category,
    CategoryLabel,
    Decision,
    ModelRef,
    PolicyRef,
    Verdict,
    category_label,
    decode_verdict,
    encode_verdict,
)
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


RULE = DecisionRule(
    DEFAULT_POLICY, RiskCurves(np.linspace(0.3, 1.0, 400, dtype=np.float64), np.linspace(0.0, 0.4, 400))
)
"""Chats up to .3 are allowed."""
STRICT = VerdictBuilder(MODEL, POLICY, rule=RULE)


def honest() -> Verdict:
    """Return a verdict as another worker with the same model and policy leaves it in the cache."""
    answer = classification()
    banned = sum(answer.probabilities[code] for code in DEFAULT_POLICY.banned)
    judged = RULE.judgement(category="F", probabilities=answer.probabilities, banned_probability=banned)  # type: ignore[arg-type]
    assert judged is not None
    return decode_verdict(encode_verdict(STRICT.fresh(event(1), replace(answer, judgement=judged), EARLIER)))


def test_a_verdict_of_another_worker_is_believed() -> None:
    """Under the same model and policy the cache is shared."""
    assert STRICT.doubt(honest()) is None


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"model": MODEL.model_copy(update={"name": "nobody's"})}, "model"),
        ({"model": MODEL.model_copy(update={"version": "9"})}, "model"),
        ({"verdict_id": "0" * 32}, "verdict_id"),
        ({"category": CategoryLabel(code=Category.F, name="Kittens")}, "category"),
        ({"category": category_label("A")}, "category"),
        ({"probabilities": dict.fromkeys(Category, 0.2)}, "probabilities"),
        ({"probabilities": dict.fromkeys(Category, 0.02) | {Category.M: 0.76}}, "category"),
        ({"banned_probability": 0.0}, "banned_probability"),
        ({"banned_to_safe_risk": 0.5}, "decision"),
        ({"decision": Decision.BLOCK}, "decision"),
        (
            {"probabilities": dict.fromkeys(Category, 0.02) | {Category.M: 0.76}, "category": category_label("M")},
            "banned_probability",
        ),
        (
            {
                "probabilities": dict.fromkeys(Category, 0.02) | {Category.M: 0.76},
                "category": category_label("M"),
                "banned_probability": 0.8,
            },
            "decision",
        ),
    ],
)
def test_a_verdict_that_says_what_its_model_and_policy_would_not_say_is_doubted(
    change: dict[str, Any], doubt: str
) -> None:
    """Whoever can write Redis would otherwise publish under our name, or an `allow` on banned probabilities."""
    forged = honest().model_copy(update=change)
    assert STRICT.answers(forged, event(1))
    assert STRICT.doubt(forged) == doubt


def test_a_verdict_is_doubted_where_the_policy_has_changed_under_its_name() -> None:
    """The decision that is served is the one of the policy in use."""
    stricter = DecisionRule(DEFAULT_POLICY.model_copy(update={"max_banned_to_safe_rate": 0.001}), RULE.curves)
    assert VerdictBuilder(MODEL, POLICY, rule=stricter).doubt(honest()) == "decision"


def test_a_builder_believes_its_own_verdicts_and_what_it_has_checked_before() -> None:
    """The bytes that a process wrote itself are not checked again; without a rule nobody else's are believed."""
    dressed = STRICT.from_cache(event(1), honest(), NOW)
    bare = VerdictBuilder(dressed.model, dressed.policy)
    assert bare.doubt(dressed) is None
    assert bare.doubt(honest()) is not None


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"decision": Decision.REVIEW}, None),
        ({"banned_probability": 0.0}, "banned_probability"),
        ({"banned_probability": 0.9, "banned_to_safe_risk": 0.01}, "decision"),
    ],
)
def test_where_pieces_may_raise_the_score_it_and_the_decision_may_only_be_stricter(
    change: dict[str, Any], doubt: str | None
) -> None:
    """A verdict does not say what its chat's pieces said; what it says can still be too good to be true."""
    bound = VerdictBuilder(MODEL, POLICY, rule=replace(RULE, is_exact=False))
    assert bound.doubt(honest().model_copy(update=change)) == doubt
