"""Agreement is counted over pairs that answer the same record, and says what is missing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model import Classification
from model.decision import Judgement
from schemas import CHAT_13, DecidedBy, Decision, ModelRef, Taxonomy, encode_verdict
from schemas.taxonomy import TaxonomyCategory
from tests.worker.payloads import builder, event
from worker.moves.comparison import Comparison
from worker.moves.sample import is_sampled

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENTS = [event(offset) for offset in range(12)]


def _digest(mark: str) -> str:
    return f"sha256:{mark * 64}"


def _verdict(
    offset: int,
    *,
    mark: str,
    category: str = "A",
    decision: Decision = Decision.ALLOW,
    banned: float = 0.1,
    taxonomy: Taxonomy = CHAT_13,
    **over: Any,
) -> bytes:
    """Return a verdict of the model whose digest consists of this digit."""
    judge = builder(model=ModelRef(name="m", version="1", digest=_digest(mark)), categories=taxonomy)
    probabilities = dict.fromkeys(taxonomy.codes, 1 / len(taxonomy.codes))
    judgement = Judgement(banned, 0.5, decision, DecidedBy.MODEL)
    answer = Classification(category, probabilities, judgement, evidence=probabilities)
    return encode_verdict(judge.fresh(EVENTS[offset], answer, NOW).model_copy(update=over))


def test_pairs_are_compared_by_category_decision_and_banned_probability() -> None:
    """Three pairs: the same, another category, another decision."""
    comparison = Comparison(1.0)
    for offset in range(4):
        comparison.add_live(_verdict(offset, mark="a"))
    comparison.add_shadow(_verdict(0, mark="b"))
    comparison.add_shadow(_verdict(1, mark="b", category="B", banned=0.4))
    comparison.add_shadow(_verdict(2, mark="b", decision=Decision.BLOCK))
    comparison.add_shadow(_verdict(9, mark="b"))
    agreement = comparison.agreement()
    assert agreement.line() == {
        "event": "shadow_report",
        "shadow_model": _digest("b"),
        "live_models": [_digest("a")],
        "n_live": 4,
        "n_compared": 3,
        "n_missing": 1,
        "n_other_models": 0,
        "n_other_taxonomy": 0,
        "category_agreement": pytest.approx(2 / 3, abs=1e-6),
        "decision_agreement": pytest.approx(2 / 3, abs=1e-6),
        "banned_probability_mean_abs_diff": pytest.approx(0.1),
        "decisions": {"allow>allow": 2, "allow>block": 1},
        "categories": {"A>A": 2, "A>B": 1},
        "n_other_categories": 0,
    }
    assert (agreement.reaches(0.66), agreement.reaches(0.67)) == (True, False)


def test_what_no_shadow_was_asked_about_is_not_missing() -> None:
    """Cache hits, replays, what lies outside the sample, and what is no verdict at all."""
    comparison = Comparison(0.5)
    for offset in range(12):
        comparison.add_live(_verdict(offset, mark="a"))
    comparison.add_live(_verdict(0, mark="a", cache_hit=True))
    comparison.add_live(_verdict(1, mark="a", replay_id="r"))
    for raw in (None, b"", b"{", b"[]", b'{"source": {}}'):
        comparison.add_live(raw)
        comparison.add_shadow(raw)
    assert comparison.agreement().n_live == sum(is_sampled(one.fingerprint, 0.5) for one in EVENTS)


def test_the_model_that_judged_last_is_reported_unless_another_is_named() -> None:
    """Two candidates may share a topic; their verdicts are never added up."""
    comparison = Comparison(1.0)
    comparison.add_live(_verdict(0, mark="a"))
    comparison.add_shadow(_verdict(0, mark="c", decided_at=NOW + timedelta(seconds=1)))
    comparison.add_shadow(_verdict(0, mark="b", category="B"))
    comparison.add_shadow(_verdict(0, mark="b", category="B"))
    newest = comparison.agreement()
    assert (newest.shadow_digest, newest.category_agreement, newest.n_other_models) == (_digest("c"), 1.0, 1)
    for name in ("bb", _digest("b")):
        assert comparison.agreement(name).category_agreement == 0.0


def test_between_two_taxonomies_only_decisions_are_compared() -> None:
    """A shadow may be of another taxonomy: "A" there is another thing, and `allow` is the same thing."""
    other = Taxonomy(
        name="other", version="1", categories=tuple(TaxonomyCategory(code=code, name="other") for code in "AB")
    )
    comparison = Comparison(1.0)
    for offset in range(4):
        comparison.add_live(_verdict(offset, mark="a"))
    for offset, decision in enumerate([Decision.ALLOW, Decision.ALLOW, Decision.ALLOW, Decision.BLOCK]):
        comparison.add_shadow(_verdict(offset, mark="b", taxonomy=other, decision=decision))
    agreement = comparison.agreement()
    line = agreement.line()
    assert (line["n_compared"], line["n_other_taxonomy"]) == (4, 4)
    assert (line["category_agreement"], line["categories"]) == (None, {})
    assert (line["decision_agreement"], agreement.outcomes.n_changed) == (0.75, 1)
    assert (agreement.reaches(0.75), agreement.reaches(0.8)) == (True, False)


def test_categories_that_the_other_taxonomy_does_not_have_are_not_compared() -> None:
    """Two classifiers may have one name all the same; "M" of chat-13 is no category of this one."""
    other = Taxonomy(
        name=CHAT_13.name, version="1", categories=tuple(TaxonomyCategory(code=code, name=code) for code in ("A", "x"))
    )
    comparison = Comparison(1.0)
    for offset, (live, shadow) in enumerate([("A", "A"), ("M", "A"), ("A", "x")]):
        comparison.add_live(_verdict(offset, mark="a", category=live))
        comparison.add_shadow(_verdict(offset, mark="b", category=shadow, taxonomy=other))
    agreement = comparison.agreement()
    assert (agreement.outcomes.categories, agreement.n_other_taxonomy) == ({("A", "A"): 1}, 2)
    assert (agreement.category_agreement, agreement.outcomes.n_changed) == (1.0, 0)


def test_a_live_verdict_of_version_1_is_of_chat_13() -> None:
    """The topic holds such verdicts for a while after an upgrade."""
    comparison = Comparison(1.0)
    live = orjson.loads(_verdict(0, mark="a"))
    del live["taxonomy"]
    comparison.add_live(orjson.dumps(live | {"schema_version": 1}))
    comparison.add_shadow(_verdict(0, mark="b", category="B"))
    agreement = comparison.agreement()
    assert (agreement.category_agreement, agreement.n_other_taxonomy) == (0.0, 0)


def test_nothing_to_compare_is_no_agreement() -> None:
    """A gate must not open because the shadow was down."""
    comparison = Comparison(1.0)
    comparison.add_live(_verdict(0, mark="a"))
    agreement = comparison.agreement()
    assert (agreement.shadow_digest, agreement.category_agreement, agreement.outcomes.n_compared) == (None, None, 0)
    assert not agreement.reaches(0.0)


@given(st.floats(0, 1), st.lists(st.text("0123456789abcdef", min_size=32, max_size=32), max_size=20))
def test_a_larger_share_holds_every_smaller_one(ratio: float, fingerprints: list[str]) -> None:
    """A ratio that is raised later keeps comparing what was compared before."""
    for fingerprint in fingerprints:
        assert not is_sampled(fingerprint, 0.0)
        assert is_sampled(fingerprint, 1.0)
        assert not is_sampled(fingerprint, ratio) or is_sampled(fingerprint, (1 + ratio) / 2)
