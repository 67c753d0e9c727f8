"""Verdicts: deterministic ids, and a cached one only ever lends its probabilities: decisions are taken anew."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import orjson
import pytest

from model import DecisionRule
from model.calibration import RiskCurves
from model.policies.policy_set import PolicySet
from schemas import (
    CHAT_13,
    CategoryLabel,
    DecidedBy,
    Decision,
    Policy,
    PolicyRef,
    Verdict,
    VerdictKind,
    category_label,
    decode_verdict,
    encode_verdict,
)
from schemas.taxonomy import TaxonomyRef
from tests.worker.payloads import MODEL, POLICY, builder, classification, event
from worker.record import Event
from worker.verdict_builder import VerdictBuilder

BUILDER = builder()
OTHER_MODEL = MODEL.model_copy(update={"digest": f"sha256:{'cd' * 32}"})
EARLIER, NOW = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)


def fresh(offset: int = 1, *, of: VerdictBuilder = BUILDER, **fields: Any) -> Verdict:
    """Return a fresh verdict on an event."""
    return of.fresh(event(offset, **fields), classification(), EARLIER)


def from_cache(of: VerdictBuilder, asked: Event, cached: Verdict) -> Verdict | str:
    """Return the verdict on an event that a cached one answers, or what is doubted of it."""
    return of.doubt(cached) or of.verdict(asked, cached, NOW)


def policy(**fields: Any) -> Policy:
    """Return the usual policy with `fields` laid over it."""
    return POLICY.model_copy(update=fields)


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
        fresh(1, of=builder(model=OTHER_MODEL)),
        fresh(1, of=builder(policy_in_use=policy(version="3"))),
        fresh(1, of=builder(policy_in_use=policy(name="q"))),
        fresh(1, of=builder(policy_in_use=policy(banned=frozenset("M")))),
    ],
    ids=["chat", "text", "role", "model", "policy version", "policy name", "policy content"],
)
def test_another_chat_content_model_or_policy_gets_another_id(other: Verdict) -> None:
    """An id that two different answers share would make readers drop the second."""
    assert other.verdict_id != fresh(1).verdict_id


def test_a_fresh_verdict_says_all_that_the_classifier_and_the_event_say() -> None:
    """So that any policy can be computed from it."""
    evidence = dict.fromkeys(CHAT_13.codes, 0.02) | {"F": 0.76, "M": 0.4}
    answer = replace(classification(), evidence=evidence, language="en")
    verdict = BUILDER.fresh(event(1, occurred_at=1_700_000_000_000, event_id="e"), answer, EARLIER)
    assert (verdict.taxonomy, verdict.evidence, verdict.language) == (CHAT_13.ref, evidence, "en")
    assert (verdict.occurred_at, verdict.event_id, verdict.kind) == ("1700000000000", "e", VerdictKind.EVENT)
    assert {name: one.decision for name, one in verdict.decisions.items()} == {"p": Decision.ALLOW}
    assert (verdict.decided_by, verdict.previous, verdict.override_revision) == (DecidedBy.MODEL, None, 0)


def test_a_cached_verdict_is_dressed_as_the_answer_to_this_record() -> None:
    """Same judgement and id; the record, the clocks and the event are this one's."""
    hi = [{"role": "user", "content": "hi"}]
    cached = fresh(1, chat_id="c", messages=hi, event_id="old", occurred_at="then")
    asked = event(7, chat_id="c", messages=hi, event_id="new", occurred_at=5)
    answer = from_cache(BUILDER, asked, cached)
    assert isinstance(answer, Verdict)
    assert answer == cached.model_copy(
        update={
            "event_id": "new",
            "occurred_at": "5",
            "source": asked.record.source,
            "decided_at": NOW,
            "cache_hit": True,
        }
    )
    assert answer == Verdict.model_validate_json(encode_verdict(answer))


def test_a_cached_verdict_answers_only_the_same_content_model_rules_and_taxonomy() -> None:
    """F25: after a new model is rolled out the old verdicts are misses; after a new policy they are not."""
    asked = event(1)
    cached = decode_verdict(encode_verdict(BUILDER.fresh(asked, classification(), EARLIER)))
    assert BUILDER.answers(cached, asked)
    changes: list[dict[str, Any]] = [
        {"content_fingerprint": "0" * 32},
        {"model": OTHER_MODEL},
        {"rules_version": "0"},
        {"taxonomy": TaxonomyRef(name="other", version="1")},
        {"taxonomy": TaxonomyRef(name="chat-13", version="2")},
        {"chat_id": "another"},
    ]
    assert not any(BUILDER.answers(cached.model_copy(update=change), asked) for change in changes)
    assert builder(policy_in_use=policy(version="3")).answers(cached, asked)


def test_a_cached_verdict_of_version_1_is_a_miss() -> None:
    """It does not say what its pieces said, so no policy can be decided from it."""
    asked = event(1)
    document = orjson.loads(encode_verdict(BUILDER.fresh(asked, classification(), EARLIER)))
    new = ("kind", "occurred_at", "taxonomy", "evidence", "language", "stage", "unevaluated", "decisions", "decided_by")
    for name in (*new, "rules_version", "override_revision", "previous"):
        del document[name]
    read = decode_verdict(orjson.dumps(document | {"schema_version": 1}))
    assert read.chat_id == "chat-1"
    assert not BUILDER.answers(read, asked)


def test_a_replay_is_marked() -> None:
    """Readers must tell a replay's verdicts from live ones."""
    replay = builder(replay_id="r1")
    assert fresh(1, of=replay).replay_id == "r1"
    answer = from_cache(replay, event(1), fresh(1, of=replay).model_copy(update={"replay_id": "r0"}))
    assert isinstance(answer, Verdict)
    assert answer.replay_id == "r1"


CURVES = RiskCurves(np.linspace(0.3, 1.0, 400, dtype=np.float64), np.linspace(0.0, 0.4, 400))
"""Chats up to .3 are allowed."""


def strict(over: Policy = POLICY) -> VerdictBuilder:
    """Return a builder that can decide what it finds."""
    return builder(policy_in_use=over, policies=PolicySet([DecisionRule(over, CURVES)]))


STRICT = strict()


def honest(found: Mapping[str, float] | None = None, *, of: VerdictBuilder = STRICT, **fields: Any) -> Verdict:
    """Return a verdict as another worker of this model leaves it in the cache, with `fields` laid over it.

    Args:
        found: Its evidence.
        of: Who made it.
        **fields: What is forged.
    """
    answer = classification()
    said = dict(found or answer.evidence)
    assert of.policies is not None
    judged = of.policies.default.judgement(said, category=answer.category)
    made = of.fresh(event(1), replace(answer, evidence=said, judgement=judged), EARLIER)
    return decode_verdict(encode_verdict(made)).model_copy(update=fields)


def hit(of: VerdictBuilder, cached: Verdict) -> Verdict | str:
    """Return what a builder makes of a cached verdict that answers."""
    assert of.answers(cached, event(1))
    return from_cache(of, event(1), cached)


def test_a_verdict_of_another_worker_is_believed() -> None:
    """Under the same model the cache is shared; what is dressed is the same but for the record."""
    cached = honest()
    answer = hit(STRICT, cached)
    assert isinstance(answer, Verdict)
    assert answer == cached.model_copy(update={"decided_at": NOW, "cache_hit": True})


def test_another_policys_verdict_is_decided_anew_from_its_evidence() -> None:
    """A changed policy costs no classification: what a fresh verdict would say is said, id included."""
    evidence = dict.fromkeys(CHAT_13.codes, 0.02) | {"F": 0.76, "M": 0.9}
    loose, anew = strict(policy(name="loose", banned=frozenset("J"))), strict(policy(version="3"))
    cached = honest(evidence, of=loose)
    assert cached.decision is Decision.ALLOW
    answer = hit(anew, cached)
    assert isinstance(answer, Verdict)
    expected = honest(evidence, of=anew)
    assert answer == expected.model_copy(update={"decided_at": NOW, "cache_hit": True})
    assert (answer.decision, answer.verdict_id != cached.verdict_id) == (Decision.BLOCK, True)
    assert list(answer.decisions) == ["p"]


def test_a_policy_changed_under_its_name_decides_anew() -> None:
    """The decision that is served is the one of the policy in use, whatever it is called."""
    stricter = strict(policy(max_banned_to_safe_rate=0.001))
    answer = hit(stricter, honest())
    assert isinstance(answer, Verdict)
    assert (honest().decision, answer.decision) == (Decision.ALLOW, Decision.REVIEW)


def test_what_was_not_evaluated_stays_so_under_every_policy() -> None:
    """A policy cannot turn what nobody has read into an `allow`."""
    cached = honest(of=strict(policy(name="other")), unevaluated=("length",))
    answer = hit(STRICT, cached)
    assert isinstance(answer, Verdict)
    assert (answer.decision, answer.decided_by) == (Decision.REVIEW, DecidedBy.UNEVALUATED)


BACKWARDS = dict(reversed(classification().probabilities.items()))
LIKELY_M = dict.fromkeys(CHAT_13.codes, 0.02) | {"M": 0.76}


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        ({"model": MODEL.model_copy(update={"name": "nobody's"})}, "model"),
        ({"model": MODEL.model_copy(update={"version": "9"})}, "model"),
        ({"kind": VerdictKind.OVERRIDE}, "kind"),
        ({"category": CategoryLabel(code="F", name="Kittens")}, "category"),
        ({"category": category_label("A", CHAT_13)}, "category"),
        ({"category": CategoryLabel(code="kitten", name="Kittens")}, "category"),
        ({"probabilities": dict.fromkeys(CHAT_13.codes, 0.2)}, "probabilities"),
        ({"probabilities": {"F": 1.0}}, "probabilities"),
        ({"evidence": {"F": 1.0}}, "probabilities"),
        ({"probabilities": BACKWARDS}, "probabilities"),
        ({"evidence": BACKWARDS}, "probabilities"),
        ({"probabilities": LIKELY_M, "evidence": LIKELY_M}, "category"),
        ({"evidence": dict.fromkeys(CHAT_13.codes, 0.02)}, "evidence"),
        ({"stage": "buy kittens"}, "reading"),
        ({"unevaluated": ("buy kittens",)}, "reading"),
        ({"unevaluated": ("length",) * 9}, "reading"),
        ({"unevaluated": ("length", "length")}, "reading"),
        ({"language": "buy kittens"}, "reading"),
        ({"banned_probability": 0.0}, "decision"),
        ({"banned_to_safe_risk": 0.5}, "decision"),
        ({"decision": Decision.BLOCK}, "decision"),
        ({"decided_by": DecidedBy.OVERRIDE}, "decision"),
        ({"decisions": {}}, "decision"),
        ({"policy": PolicyRef(name="p", version="9")}, "decision"),
        (
            {"probabilities": LIKELY_M, "evidence": LIKELY_M, "category": category_label("M", CHAT_13)},
            "decision",
        ),
    ],
)
def test_a_verdict_that_says_what_its_model_and_policy_would_not_say_is_doubted(
    change: dict[str, Any], doubt: str
) -> None:
    """Whoever can write Redis would otherwise publish under our name, or an `allow` on banned probabilities."""
    assert hit(STRICT, honest(**change)) == doubt


def test_a_forged_decision_under_another_id_is_not_even_read() -> None:
    """Of a verdict that other policies decided nothing but what the model said is taken over."""
    forged = honest(
        verdict_id="0" * 32,
        decision=Decision.BLOCK,
        decided_by=DecidedBy.OVERRIDE,
        override_revision=7,
        banned_probability=1.0,
    )
    answer = hit(STRICT, forged)
    assert answer == honest().model_copy(update={"decided_at": NOW, "cache_hit": True})


def test_a_builder_believes_its_own_verdicts_and_what_it_has_checked_before() -> None:
    """The bytes that a process wrote itself are not checked again; without a rule nobody else's are believed."""
    dressed = hit(STRICT, honest())
    assert isinstance(dressed, Verdict)
    unchecked = replace(STRICT, policies=None)
    # The very object by which a builder knows its own verdicts.
    vars(unchecked).update(policy=dressed.policy)
    assert from_cache(unchecked, event(1), dressed) == dressed
    assert from_cache(unchecked, event(1), honest()) == "rule"


def test_a_time_bound_policy_is_asked_anew_on_the_workers_own_verdicts_too() -> None:
    """A campaign may end between two events of one chat; the verdict is another one then, id included."""
    until = datetime(2026, 1, 1, 12, tzinfo=UTC)
    of = strict(policy(valid_until=until))
    assert of.policies is not None
    judged = of.policies.default.judgement(classification().evidence, category="F")
    asked, answer = event(1), replace(classification(), judgement=judged)
    cached = of.fresh(asked, answer, EARLIER)
    again = of.verdict(asked, cached, EARLIER)
    assert (cached.decision, again.decision, again.verdict_id) == (Decision.ALLOW, Decision.ALLOW, cached.verdict_id)
    ended = of.verdict(asked, cached, NOW)
    assert (ended.decision, ended.decided_by) == (Decision.BLOCK, DecidedBy.ADVERTISER)
    assert ended.verdict_id != cached.verdict_id
    read = decode_verdict(encode_verdict(cached))
    assert of.doubt(read) is None, "what was right at its time is no forgery"
    assert of.verdict(asked, read, NOW) == ended


def test_the_longest_message_is_that_of_the_event_whatever_the_cache_says() -> None:
    """A verdict of before does not say it, and whoever can write Redis may say anything."""
    text = "x" * 150
    messages = [{"role": "user", "content": text}, {"role": "assistant", "content": "y" * 400}]
    of = strict(policy(max_message_characters=100))
    asked = event(1, messages=messages)
    cached = of.fresh(asked, classification(), EARLIER)
    assert (cached.longest_message, cached.decision, cached.decided_by) == (150, Decision.REVIEW, DecidedBy.MODEL)
    for said in (None, 3):
        read = decode_verdict(encode_verdict(cached)).model_copy(
            update={"longest_message": said, "verdict_id": "0" * 32}
        )
        found = of.verdict(asked, read, NOW)
        assert (found.longest_message, found.decision, found.verdict_id) == (150, Decision.REVIEW, cached.verdict_id)


def test_all_of_a_long_message_counts_for_its_length() -> None:
    """Its ends alone are kept, and would make it shorter."""
    asked = event(1, messages=[{"role": "user", "content": "word " * 40_000}])
    assert (sum(len(turn.text) for turn in asked.turns), asked.longest_message) == (100_001, 200_000)


@pytest.mark.parametrize(("kind", "is_unread"), [("image_url", True), ("input_file", True), ("tool_use", False)])
def test_what_nobody_looks_at_is_named_and_keeps_the_chat_from_being_allowed(kind: str, *, is_unread: bool) -> None:
    """A picture may show anything; the same text without it is another chat to the cache."""
    parts = [{"type": "text", "text": "what is this?"}, {"type": kind}]
    asked, alone = (event(1, messages=[{"role": "user", "content": content}]) for content in (parts, "what is this?"))
    of = strict()
    said = of.fresh(asked, classification(), NOW)
    assert said.unevaluated == (("content",) if is_unread else ())
    assert said.decision is (Decision.REVIEW if is_unread else Decision.ALLOW)
    assert (said.content_fingerprint == of.fresh(alone, classification(), NOW).content_fingerprint) is not is_unread
    assert of.doubt(decode_verdict(encode_verdict(said)).model_copy(update={"verdict_id": "0" * 32})) is None
