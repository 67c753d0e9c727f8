"""What a result says is decided as verdicts are: behind the floor, whatever the classifier's own judgement was."""

from dataclasses import replace

from console.judging.verdicts import VerdictWriter
from console.moderations.results import result_of
from model import DEFAULT_BUNDLE_PATH, load_bundle
from model.bundle.bundle import Bundle
from model.decision import Judgement
from model.evidence.judging import Classification
from model.policies.rules import rule_over
from schemas import CHAT_13, DecidedBy, Decision


def writer_of(bundle: Bundle) -> VerdictWriter:
    """Return a writer whose policy bans nothing: only the floor is left to object."""
    policy = bundle.default_policy.model_copy(update={"name": "everything", "banned": frozenset()})
    return VerdictWriter(bundle, [rule_over(bundle, policy)])


def test_a_text_of_the_floor_is_flagged_under_a_policy_that_bans_nothing() -> None:
    """The classifier's own judgement knows the policy alone."""
    evidence = dict.fromkeys(CHAT_13.codes, 0.0) | {"M": 0.99, "F": 0.01}
    allowed = Judgement(0.0, 0.0, Decision.ALLOW, DecidedBy.NOTHING_BANNED)
    of_the_floor = Classification("M", evidence, allowed, evidence=evidence)
    writer = writer_of(load_bundle(DEFAULT_BUNDLE_PATH))
    found = result_of(of_the_floor, n_images=0, writer=writer)
    assert (found["flagged"], found["verdictstream"]["decision"]) == (True, "block")
    assert found["verdictstream"]["decisions"]["everything"]["decided_by"] == "floor"
    harmless = replace(of_the_floor, category="F", evidence=dict.fromkeys(CHAT_13.codes, 0.0) | {"F": 1.0})
    assert not result_of(harmless, n_images=0, writer=writer)["flagged"]
