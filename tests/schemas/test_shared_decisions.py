"""Decisions that verdicts share are written as if each verdict had its own."""

from datetime import UTC, datetime

import pytest

from schemas import DecidedBy, Decision, EncodedDecision, PolicyDecision, PolicyRef, SharedDecisions, encode_verdict
from schemas.verdict import Verdict
from tests.schemas.payloads import make_verdict

NAMES = ("default", 'ünïcode "quoted" \\ \n', "},{", "x" * 64)
DECISIONS = {
    name: PolicyDecision(version=f"1.{i}", decision=decision, decided_by=DecidedBy.ADVERTISER)
    for i, (name, decision) in enumerate(zip(NAMES, [*Decision, Decision.ALLOW], strict=True))
}


def _shared() -> SharedDecisions:
    return SharedDecisions([EncodedDecision.of(name, decision) for name, decision in DECISIONS.items()])


@pytest.mark.parametrize("microsecond", [0, 5])
def test_a_verdict_is_written_byte_for_byte_the_same(microsecond: int) -> None:
    """Readers and caches compare bytes."""
    at = datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=UTC)
    own = make_verdict(policy=PolicyRef(name="default", version="1"), decisions=DECISIONS, decided_at=at)
    sharing = own.model_copy(update={"decisions": _shared()})
    assert encode_verdict(sharing) == encode_verdict(own)
    assert Verdict.model_validate_json(encode_verdict(sharing)) == own == sharing


def test_shared_decisions_are_equal_where_they_say_the_same() -> None:
    """However they came to be: by what is written, or one by one in another order."""
    shared = _shared()
    assert shared == _shared()
    assert shared == DECISIONS
    assert (shared != DECISIONS) is False
    turned = SharedDecisions([EncodedDecision.of(name, DECISIONS[name]) for name in reversed(NAMES)])
    assert (turned == shared, turned.json == shared.json) == (True, False)
    fewer = SharedDecisions([EncodedDecision.of(name, DECISIONS[name]) for name in NAMES[:2]])
    assert fewer != shared
