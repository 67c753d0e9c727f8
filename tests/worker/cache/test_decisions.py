"""A cached verdict under many policies is decoded as any other, only quicker."""

import orjson
import pytest
from pydantic import ValidationError

from schemas import DecidedBy, Decision, PolicyDecision, SharedDecisions, Verdict, decode_verdict, encode_verdict
from tests.schemas.payloads import make_verdict
from worker.cache.decisions import decode_cached_verdict

HOSTILE = ('a"b', "},", '},"policy":{"name":"', '"decisions":{', "é\u2028", "{}", "x" * 64)


def verdict_under(*names: str) -> Verdict:
    """Return a verdict under these policies, the usual default policy first."""
    own = make_verdict()
    said = PolicyDecision(version="2", decision=Decision.REVIEW, decided_by=DecidedBy.ADVERTISER)
    return own.model_copy(update={"decisions": {own.policy.name: said, **dict.fromkeys(names, said)}})


@pytest.mark.parametrize("n_policies", [0, 3, 100])
def test_a_verdict_is_what_the_slow_way_makes_of_it(n_policies: int) -> None:
    """Field by field, and written again to the byte."""
    raw = encode_verdict(verdict_under(*(f"policy-{i}" for i in range(n_policies))))
    found = decode_cached_verdict(raw)
    assert found == decode_verdict(raw)
    assert encode_verdict(found) == raw
    assert isinstance(found.decisions, SharedDecisions) is (n_policies == 100)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_that_look_like_borders_change_nothing(name: str) -> None:
    """A policy may be called anything."""
    raw = encode_verdict(verdict_under(*(f"policy-{i}" for i in range(20)), name))
    assert decode_cached_verdict(raw) == decode_verdict(raw)


def test_a_default_policy_that_is_not_the_first_is_found_all_the_same() -> None:
    """A writer of another release may sort otherwise."""
    made = verdict_under(*(f"policy-{i}" for i in range(20)))
    turned = made.model_copy(update={"decisions": dict(reversed(made.decisions.items()))})
    assert decode_cached_verdict(encode_verdict(turned)) == turned


def test_what_is_no_verdict_is_refused_as_ever() -> None:
    """Whoever can write Redis may write anything."""
    document = orjson.loads(encode_verdict(verdict_under(*(f"policy-{i}" for i in range(20)))))
    document["decisions"]["policy-7"]["decision"] = "perhaps"
    for broken in (orjson.dumps(document), orjson.dumps(document)[:-40], b"{}", b"", b'"decisions":{' * 100):
        with pytest.raises(ValidationError):
            decode_cached_verdict(broken)
