"""The largest verdict is larger than any that events lead to."""

from schemas import (
    CHAT_13,
    DEFAULT_POLICY,
    DecidedBy,
    Decision,
    EncodedDecision,
    PolicyDecision,
    SharedDecisions,
    Verdict,
)
from schemas.taxonomy import MAX_CATEGORIES, Taxonomy, TaxonomyCategory
from tests.worker.payloads import MODEL
from worker.cache.entries import MAX_VALUE_BYTES
from worker.reload.verdict_size import largest_verdict, largest_verdict_bytes

POLICIES = [DEFAULT_POLICY, *(DEFAULT_POLICY.model_copy(update={"name": f"policy-{i}"}) for i in range(3))]


def test_no_field_is_forgotten() -> None:
    """A field that comes later must have its length here, too."""
    made = largest_verdict(MODEL, CHAT_13, POLICIES)
    assert Verdict.model_fields.keys() - made.model_fields_set == {"schema_version"}
    assert list(made.decisions) == [policy.name for policy in POLICIES]


def test_each_policy_adds_what_it_is_written_with() -> None:
    """So that a folder can be cut to what fits."""
    said = PolicyDecision(version="1", decision=Decision.REVIEW, decided_by=DecidedBy.NOTHING_BANNED)
    shared = SharedDecisions([EncodedDecision.of(policy.name, said) for policy in POLICIES[1:]])
    more = largest_verdict_bytes(MODEL, CHAT_13, POLICIES) - largest_verdict_bytes(MODEL, CHAT_13, POLICIES[:1])
    assert more == len(shared.json) - len("{}") + len(",")


def test_a_hundred_policies_fit_over_the_largest_taxonomy_with_short_codes() -> None:
    """And over chat-13 they are far from the limit of the cache."""
    names = [DEFAULT_POLICY.model_copy(update={"name": f"advertiser-{i:03d}"}) for i in range(100)]
    assert largest_verdict_bytes(MODEL, CHAT_13, names) < MAX_VALUE_BYTES / 2
    codes = [TaxonomyCategory(code=f"c{i:03d}", name=f"category {i}") for i in range(MAX_CATEGORIES)]
    wide = Taxonomy(name="wide", version="1", categories=tuple(codes))
    assert largest_verdict_bytes(MODEL, wide, names) < MAX_VALUE_BYTES
