"""What the ad exchange is told of a chat: never more than the verdict says, and never `allow` where it does not."""

from datetime import UTC, datetime
from typing import Any

import pytest

from schemas import CHAT_13, DecidedBy, Decision, PolicyDecision, RejectionMarker, Source, TaxonomyRef, Verdict
from schemas.exchange import RiskBand, Signal, SignalDecision, opaque_id, risk_band, signal_of
from tests.schemas.payloads import make_verdict

SOURCE = Source(topic="chat-events", partition=3, offset=41, timestamp_ms=1_700_000_000_123)


def decided(decision: Decision, by: DecidedBy = DecidedBy.MODEL, **fields: Any) -> Verdict:
    """Return a verdict with this decision of its default policy, and `allow` of policy acme."""
    decisions = {
        "default": PolicyDecision(version="1", decision=decision, decided_by=by),
        "acme": PolicyDecision(version="7", decision=Decision.ALLOW, decided_by=DecidedBy.ADVERTISER),
    }
    return make_verdict(**{"source": SOURCE, **fields}).model_copy(
        update={"decision": decision, "decided_by": by, "decisions": decisions}
    )


def test_a_verdict_is_told_in_full() -> None:
    """Everything a buyer may ask for, and no id of ours but the verdict's."""
    verdict = decided(Decision.ALLOW)
    signal = signal_of(verdict, taxonomy=CHAT_13)
    assert signal == Signal(
        decision=SignalDecision.ALLOW,
        id=opaque_id(verdict.chat_id),
        risk=RiskBand.LOW,
        policy="default@1",
        category="F",
        category_name="programming_and_data_analysis",
        iab=("596", "602"),
        taxonomy="chat-13@1",
        model="ad-safety@1.10.2",
        language="en",
        event_time="2023-11-14T22:13:20.123Z",
        verdict_id=verdict.verdict_id,
    )


def test_the_policy_that_is_asked_for_decides() -> None:
    """Each advertiser has its own; the verdict's risk is the default policy's, so no other one borrows it."""
    signal = signal_of(decided(Decision.BLOCK), policy="acme", taxonomy=CHAT_13)
    assert (signal.decision, signal.policy, signal.risk) == (SignalDecision.ALLOW, "acme@7", RiskBand.UNKNOWN)
    assert signal_of(decided(Decision.BLOCK), policy="acme", risk=0.004).risk is RiskBand.VERY_LOW
    assert signal_of(decided(Decision.ALLOW), policy="default").risk is RiskBand.LOW


def test_a_blocked_chat_says_nothing_but_that() -> None:
    """What was blocked and why is nobody's business; no request is sent."""
    signal = signal_of(decided(Decision.BLOCK), taxonomy=CHAT_13)
    assert signal == Signal(SignalDecision.BLOCK, id=opaque_id("chat-1"))
    assert not signal.may_bid


@pytest.mark.parametrize(
    ("decision", "by", "reasons", "told"),
    [
        (Decision.REVIEW, DecidedBy.UNEVALUATED, ("image",), SignalDecision.UNEVALUATED),
        (Decision.REVIEW, DecidedBy.MODEL, ("image",), SignalDecision.REVIEW),
        (Decision.BLOCK, DecidedBy.UNEVALUATED, ("image",), SignalDecision.BLOCK),
        (Decision.ALLOW, DecidedBy.MODEL, ("image",), SignalDecision.ALLOW),
        (Decision.ALLOW, DecidedBy.OVERRIDE, (), SignalDecision.ALLOW),
    ],
)
def test_unevaluated_is_a_value_of_its_own(
    decision: Decision, by: DecidedBy, reasons: tuple[str, ...], told: SignalDecision
) -> None:
    """Where the policy takes it as it is, the decision stands, the reasons are named, and no risk is claimed."""
    signal = signal_of(decided(decision, by).model_copy(update={"unevaluated": reasons}))
    assert signal.decision is told
    if signal.may_bid:
        assert (signal.unevaluated, signal.risk is RiskBand.UNKNOWN) == (reasons, bool(reasons))


def test_a_missing_verdict_a_marker_and_another_policy_are_unknown() -> None:
    """Nothing of the chat was judged, or not under this policy; buyers choose what that means."""
    assert signal_of(None) == Signal(SignalDecision.UNKNOWN)
    marker = RejectionMarker(chat_id="chat-1", source=SOURCE, rejected="tombstone")
    unknown = Signal(SignalDecision.UNKNOWN, id=opaque_id("chat-1"))
    assert signal_of(marker) == signal_of(decided(Decision.ALLOW), policy="other") == unknown
    assert unknown.may_bid


def test_a_crosswalk_counts_for_its_own_taxonomy_alone() -> None:
    """`M` is another thing elsewhere, and in another version."""
    for other in (TaxonomyRef(name="chat-13", version="2"), TaxonomyRef(name="pets", version="1")):
        signal = signal_of(decided(Decision.ALLOW, taxonomy=other), taxonomy=CHAT_13)
        assert (signal.category, signal.iab) == ("F", ())
    assert signal_of(decided(Decision.ALLOW)).iab == ()


@pytest.mark.parametrize(
    ("risk", "band"),
    [
        (0.0, "very_low"),
        (0.01, "very_low"),
        (0.010001, "low"),
        (0.05, "low"),
        (0.2, "medium"),
        (0.200001, "high"),
        (1.0, "high"),
        (None, "unknown"),
    ],
)
def test_risks_fall_into_bands(risk: float | None, band: str) -> None:
    """Ad servers target closed sets of values; the bounds belong to the lower band."""
    assert risk_band(risk) == band


@pytest.mark.parametrize("timestamp_ms", [-1, 0, 1_700_000_000, 1_700_000_000_000_000])
def test_a_timestamp_that_can_be_no_time_is_left_out(timestamp_ms: int) -> None:
    """Seconds and microseconds would be read as 1970 and 55840."""
    source = SOURCE.model_copy(update={"timestamp_ms": timestamp_ms})
    assert signal_of(decided(Decision.ALLOW, source=source)).event_time is None


@pytest.mark.parametrize("timestamp_ms", [1_293_840_000_000, 1_700_000_000_007, 4_102_444_799_999])
def test_a_time_keeps_its_milliseconds(timestamp_ms: int) -> None:
    """As numbers, without a double in between."""
    source = SOURCE.model_copy(update={"timestamp_ms": timestamp_ms})
    told = signal_of(decided(Decision.ALLOW, source=source)).event_time
    assert told is not None
    found = datetime.strptime(told, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    assert round(found.timestamp() * 1_000) == timestamp_ms


def test_an_id_hides_the_chat_and_follows_the_key() -> None:
    """Under a secret nobody outside can tell which chat an id is of."""
    assert opaque_id("chat-1") == opaque_id("chat-1") != opaque_id("chat-2")
    assert opaque_id("chat-1", b"another secret of ours") != opaque_id("chat-1")
    assert len(opaque_id("чат")) == 32
    assert signal_of(decided(Decision.ALLOW), identify=str).id == "chat-1"
