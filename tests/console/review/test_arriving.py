"""What verdicts and reviews become, without a database."""

from collections import Counter
from datetime import UTC, datetime

import pytest

from console.review.arriving import (
    NO_RISK_KNOWN,
    counts_of,
    is_answered_by,
    item_of_review,
    order_ms,
    risk_of,
    sampled,
)
from console.review.sampling import Draw, Stratum, drawn, position, rates_for, strata_of
from console.settings.operations import ReviewSettings
from model.figures.lengths import LENGTH_BOUNDS
from schemas import DecidedBy, Decision, PolicyRef, Source
from schemas.verdict import VerdictKind
from tests.console.judged import AT_MS, a_review, a_verdict, an_override

SETTINGS = ReviewSettings(opinions=2, age_bonus_s=100)
ALLOW_F = Stratum("default", "allow", "F")


def test_a_review_becomes_an_open_item_that_names_its_text_and_holds_none() -> None:
    """All columns that the queue needs; the text is found by its place."""
    row = item_of_review(a_review(3, others={"strict": Decision.REVIEW}), SETTINGS, now_ms=9, risk=0.5, chat_hash="h")
    assert (row["kind"], row["queue"], row["state"], row["n_wanted"], row["n_answers"]) == (
        "review",
        "default",
        "open",
        2,
        0,
    )
    assert [one["name"] for one in row["policies"]] == ["default", "strict"]
    assert (row["topic"], row["partition"], row["record_offset"], row["timestamp_ms"]) == ("chat-events", 0, 3, AT_MS)
    assert (row["chat_id"], row["chat_hash"], row["category"], row["decided_ms"]) == ("chat-3", "h", "F", AT_MS)


def test_risk_goes_first_and_age_outweighs_it() -> None:
    """The riskiest item goes before what came up to `age_bonus_s` earlier."""
    assert order_ms(100_000, 1.0, SETTINGS) < order_ms(1, 0.0, SETTINGS)
    assert order_ms(100_002, 1.0, SETTINGS) > order_ms(1, 0.0, SETTINGS)


def test_risk_is_the_policys_score_or_not_known() -> None:
    """As serving takes it: at most 1, six decimals."""
    evidence = {"A": 0.7, "B": 0.6, "C": 0.1234567}
    assert risk_of(evidence, {"C"}) == 0.123457
    assert risk_of(evidence, {"A", "B"}) == 1.0
    assert risk_of(evidence, None) == NO_RISK_KNOWN


def test_a_verdict_counts_once_under_each_name() -> None:
    """Decision and stratum by policy, the rest once."""
    verdict = a_verdict(others={"strict": Decision.BLOCK}, longest_message=LENGTH_BOUNDS[3], banned_probability=1.0)
    found = Counter((one.what, one.policy, one.key) for one in counts_of(verdict))
    assert found == Counter(
        {
            ("decision", "default", "allow"): 1,
            ("decision", "strict", "block"): 1,
            ("stratum", "default", "allow/F"): 1,
            ("stratum", "strict", "block/F"): 1,
            ("category", "", "F"): 1,
            ("score", "default", "9"): 1,
            ("language", "", "en"): 1,
            ("length", "", "100"): 1,
            ("stage", "", "transformer"): 1,
            ("cache", "", "miss"): 1,
        }
    )
    assert {one.hour_ms for one in counts_of(verdict)} == {AT_MS}


def test_what_a_verdict_does_not_tell_is_counted_as_unknown() -> None:
    """Languages and lengths of before."""
    found = {(one.what, one.key) for one in counts_of(a_verdict(language=None, longest_message=None))}
    assert {("language", "unknown"), ("length", "unknown")} <= found


def test_replays_and_overrides_are_no_live_traffic() -> None:
    """Else a replay of a week would count it again."""
    assert counts_of(a_verdict(replay_id="r")) == []
    assert counts_of(an_override()) == []
    assert strata_of(a_verdict(replay_id="r")) == []


@pytest.mark.parametrize("by", [DecidedBy.OVERRIDE, DecidedBy.DENY_LIST, DecidedBy.HOLD])
def test_what_no_policy_decided_is_not_sampled(by: DecidedBy) -> None:
    """A list is right or wrong by itself."""
    assert strata_of(a_verdict(decision=Decision.BLOCK, decided_by=by)) == []


def test_reviews_and_hits_are_not_sampled() -> None:
    """People look at reviews anyway; a hit repeats a decision on the same text."""
    assert strata_of(a_verdict(decision=Decision.REVIEW, others={"strict": Decision.BLOCK})) == [
        Stratum("strict", "block", "F")
    ]
    assert strata_of(a_verdict(cache_hit=True)) == []
    assert ("cache", "hit") in {(one.what, one.key) for one in counts_of(a_verdict(cache_hit=True))}


def test_the_default_policys_stratum_comes_first() -> None:
    """Its name gives an item its stratum."""
    verdict = a_verdict(others={"a": Decision.BLOCK}, policy=PolicyRef(name="a", version="1"))
    assert [one.policy for one in strata_of(verdict)] == ["a", "default"]


def test_rates_follow_the_day_before() -> None:
    """A common stratum, a rare one, a new one of a known policy, and one of a new policy."""
    before = {ALLOW_F: 2_000, Stratum("default", "block", "C"): 5}
    strata = [*before, Stratum("default", "allow", "Z"), Stratum("new", "allow", "F")]
    rates = rates_for(strata, before, per_stratum=20)
    assert [rates[one] for one in strata] == [0.01, 1.0, pytest.approx(20 / 20.05), 0.002]
    assert rates_for([ALLOW_F], before, per_stratum=0) == {ALLOW_F: 0.0}


def test_draws_are_even_and_do_not_depend_on_who_reads() -> None:
    """Of 20,000 verdicts at a rate of 5 % some 1,000 are drawn, as many of the last as of the first."""
    ids = [a_verdict(number).verdict_id for number in range(200)]
    assert [position(one) for one in ids] == [position(one) for one in ids]
    hits = [number for number in range(20_000) if position(f"id {number}") < 0.05]
    assert 880 < len(hits) < 1_120
    assert 380 < sum(number >= 10_000 for number in hits) < 620


def test_a_sample_tells_of_one_policy_by_which_it_is_judged() -> None:
    """Its queue, chosen evenly before anything is drawn: who reads one policy's rules says nothing of another."""
    chosen: Counter[str] = Counter()
    for number in range(400):
        verdict = a_verdict(number, others={"strict": Decision.BLOCK})
        row = sampled(verdict, dict.fromkeys(strata_of(verdict), 1.0), SETTINGS, now_ms=9)
        if row is None:
            continue
        ((name, inclusion),) = [(one["name"], one["inclusion"]) for one in row["policies"] if "inclusion" in one]
        assert (row["kind"], row["queue"], inclusion, row["inclusion"]) == ("sample", name, 0.5, 0.5)
        assert row["stratum"] == {"default": "allow/F/default", "strict": "block/F/strict"}[name]
        chosen[name] += 1
    assert chosen.total() == 400
    assert 160 < chosen["strict"] < 240
    assert sampled(a_verdict(5), {ALLOW_F: 0.0}, SETTINGS, now_ms=9) is None


def test_as_many_are_drawn_of_a_stratum_as_its_rate_says_and_their_chance_is_known() -> None:
    """At 5 % about 1,000 of 20,000, although half of the verdicts are another policy's; none of what asked a person."""
    rates = {ALLOW_F: 0.05, Stratum("strict", "block", "F"): 0.0}
    found = [drawn(f"id {number}", ("strict", "default"), rates) for number in range(20_000)]
    hits = [one for one in found if one is not None]
    assert 880 < len(hits) < 1_120
    assert set(hits) == {Draw(ALLOW_F, 0.05)}
    automatic = [drawn(f"id {number}", ("strict", "default"), {ALLOW_F: 1.0}) for number in range(400)]
    assert 160 < sum(one is None for one in automatic) < 240


def test_a_sample_stands_anywhere_among_the_reviews() -> None:
    """By chance: neither behind all of them, nor by what the model says."""
    rows = [sampled(a_verdict(number), {ALLOW_F: 1.0}, SETTINGS, now_ms=200_000) for number in range(200)]
    places = sorted((row["order_ms"] - 100_000) / 100_000 for row in rows if row is not None)
    assert len(places) == 200
    assert places[0] < 0.05
    assert places[-1] > 0.95
    assert 0.35 < places[100] < 0.65


def test_an_override_answers_only_where_no_policy_asks_any_longer() -> None:
    """One for a single policy leaves the others asking."""
    assert is_answered_by(an_override())
    assert not is_answered_by(an_override(others={"strict": Decision.REVIEW}))
    assert not is_answered_by(a_verdict())


def test_an_event_without_a_time_counts_from_its_decision() -> None:
    """Hours are of the decision, which every verdict has."""
    source = Source(topic="chat-events", partition=0, offset=1, timestamp_ms=-1)
    moment = datetime(2024, 10, 4, 2, 59, 59, tzinfo=UTC)
    (hour,) = {one.hour_ms for one in counts_of(a_verdict(source=source, decided_at=moment))}
    assert datetime.fromtimestamp(hour / 1_000, UTC) == datetime(2024, 10, 4, 2, tzinfo=UTC)
    assert drawn("x", (), {}) is None
    assert an_override().kind is VerdictKind.OVERRIDE
