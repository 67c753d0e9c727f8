"""A batch is decided in input order: what was decided on a chat bears on its next event, in the same batch too."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from model.decision import Judgement
from model.policies.context import DecisionContext
from model.policies.policy_set import PolicySet
from schemas import DecidedBy, Decision, PreviousDecision, RejectionReason, Verdict, VerdictKind
from tests.worker.conversation.parts import holding_builder
from tests.worker.conversation.parts import policy as held_policy
from tests.worker.payloads import builder, classification, event, record
from tests.worker.test_verdict_builder import strict
from worker.decide import ContextSource, decide, decide_again
from worker.record import Event, Rejection, Row
from worker.verdict_builder import VerdictBuilder

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Remembering(ContextSource):
    """Holds what was decided before on a chat."""

    def __init__(self) -> None:
        self.seen: dict[str, PreviousDecision] = {}

    def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:
        """Hold the default policy where the chat was seen."""
        if (earlier := self.seen.get(event.chat.chat_id)) is None:
            return context
        return DecisionContext(previous=earlier, held=frozenset({builder.policy.name}))

    def decided(self, event: Event, verdict: Verdict) -> None:
        """Remember it."""
        self.seen[event.chat.chat_id] = PreviousDecision(
            decision=verdict.decision, offset=event.record.offset, decided_at=verdict.decided_at
        )


def row(offset: int, chat_id: str) -> Row:
    """Return a row that was classified."""
    one = event(offset, chat_id=chat_id)
    return Row(one.record, one, reading=classification())


def test_an_earlier_event_of_the_batch_bears_on_a_later_one_of_its_chat() -> None:
    """The verdict names it, and has an id of its own."""
    rows = [row(0, "a"), row(1, "b"), row(2, "a")]
    decide(rows, strict(), [ContextSource(), Remembering()], NOW)
    verdicts = [one.verdict for one in rows]
    assert all(verdicts)
    first, other, second = (one for one in verdicts if one is not None)
    assert (first.decision, first.previous, other.previous) == (Decision.ALLOW, None, None)
    assert (second.decision, second.decided_by) == (Decision.REVIEW, DecidedBy.HOLD)
    assert second.previous == PreviousDecision(decision=Decision.ALLOW, offset=0, decided_at=NOW)
    assert second.decisions["p"].decided_by is DecidedBy.HOLD
    assert strict().fresh(event(2, chat_id="a"), classification(), NOW).verdict_id != second.verdict_id


def test_what_was_decided_in_a_context_is_decided_anew_without_it() -> None:
    """A hold that ended, a person's word that expired: the cached decision is not taken over."""
    of = strict()
    held = DecisionContext(held=frozenset({"p"}), previous=None, said={}, override_revision=3)
    cached = of.fresh(event(0), classification(), NOW, held)
    assert (cached.decision, cached.override_revision) == (Decision.REVIEW, 3)
    again = of.verdict(event(0), cached, NOW)
    assert (again.decision, again.decided_by, again.override_revision) == (Decision.ALLOW, DecidedBy.MODEL, 0)
    assert again.verdict_id == of.fresh(event(0), classification(), NOW).verdict_id
    denied = of.fresh(event(0), classification(), NOW, DecisionContext(is_denied=True))
    assert (denied.decision, of.verdict(event(0), denied, NOW).decision) == (Decision.BLOCK, Decision.ALLOW)


def test_a_row_without_a_reading_gets_no_verdict() -> None:
    """It was rejected, or could not be decoded."""
    rows = [Row(record(0), rejection=Rejection(RejectionReason.DECODE_ERROR, "found x; expected y"))]
    decide(rows, builder(), [Remembering()], NOW)
    assert rows[0].verdict is None


def test_the_default_policys_score_and_risk_are_not_taken_twice() -> None:
    """What the classifier said of the evidence stands; the decision also depends on what it does not know."""
    of = strict()
    assert isinstance(of.policies, PolicySet)
    own = Judgement(0.123456, 0.5, Decision.REVIEW, DecidedBy.MODEL)
    decided = of.policies.decide(classification().evidence, category="F", own=own)
    assert decided.judgement == Judgement(0.123456, 0.5, Decision.ALLOW, DecidedBy.MODEL)
    assert decided.decisions["p"].decision is Decision.ALLOW


def test_a_persons_word_is_told_with_the_rules_own_beside_it() -> None:
    """The actor is named where the word counts, and only there."""
    of = strict()
    said = DecisionContext(said={"*": Decision.BLOCK}, override_revision=4, actor="reviewer-7")
    verdict = of.fresh(event(0), classification(), NOW, said)
    assert (verdict.decision, verdict.decided_by) == (Decision.BLOCK, DecidedBy.OVERRIDE)
    assert (verdict.model_decision, verdict.actor, verdict.override_revision) == (Decision.ALLOW, "reviewer-7", 4)
    denied = of.verdict(event(0), verdict, NOW, replace(said, is_denied=True))
    assert (denied.decided_by, denied.actor, denied.model_decision) == (DecidedBy.DENY_LIST, None, Decision.ALLOW)
    others = of.verdict(event(0), verdict, NOW, replace(said, said={"q": Decision.BLOCK}))
    assert (others.decision, others.decided_by, others.actor) == (Decision.ALLOW, DecidedBy.MODEL, None)
    assert (others.model_decision, others.override_revision) == (None, 4)


def test_an_allow_lifts_neither_the_floor_nor_a_deny_list() -> None:
    """Whoever said it, and for whichever policy."""
    of = strict()
    assert of.policies is not None
    floor = PolicySet(of.policies.rules, floor=of.policies.default)
    allow = DecisionContext(said={"*": Decision.ALLOW, "p": Decision.ALLOW}, override_revision=4, actor="a")
    banned = max(of.policies.default.policy.banned)
    blocked = classification(banned)
    builder_of = replace(of, policies=floor)
    verdict = builder_of.fresh(event(0), blocked, NOW, allow)
    assert (verdict.decision, verdict.decided_by, verdict.actor) == (Decision.BLOCK, DecidedBy.FLOOR, None)
    denied = of.fresh(event(0), blocked, NOW, replace(allow, is_denied=True))
    assert (denied.decision, denied.decided_by) == (Decision.BLOCK, DecidedBy.DENY_LIST)
    lifted = of.fresh(event(0), blocked, NOW, allow)
    assert (lifted.decision, lifted.actor) == (Decision.ALLOW, "a")


def test_what_is_decided_again_is_of_kind_override_and_nothing_else_is() -> None:
    """A row on which nobody's word bears any more gets no verdict."""

    class Said(ContextSource):
        def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:  # noqa: ARG002
            if event.chat.chat_id != "a":
                return context
            return replace(context, said={"*": Decision.REVIEW}, override_revision=9)

    rows = [row(0, "a"), row(1, "b"), Row(record(2))]
    assert decide_again(rows, strict(), [Said()], NOW) == rows[:1]
    verdicts = [one.verdict for one in rows]
    assert [one and one.kind for one in verdicts] == [VerdictKind.OVERRIDE, None, None]
    assert verdicts[0] is not None
    assert (verdicts[0].source, verdicts[0].decision) == (rows[0].record.source, Decision.REVIEW)
    again = strict().verdict(event(0, chat_id="a"), verdicts[0], NOW)
    assert (again.kind, again.override_revision) == (VerdictKind.EVENT, 0)


class DenyListOfAFile(ContextSource):
    """Denies what the file says when a decision begins."""

    def __init__(self) -> None:
        self.file, self.known = False, False

    def begin(self) -> None:
        """Read the file."""
        self.known = self.file

    def bear(self, event: Event, builder: VerdictBuilder, context: DecisionContext) -> DecisionContext:  # noqa: ARG002
        """Allow by a person, and deny by the list."""
        return replace(context, said={"*": Decision.ALLOW}, override_revision=9, is_denied=self.known)


def test_what_is_decided_again_knows_the_lists_of_now() -> None:
    """A worker without records decides on no batch, and a chat may have come onto the deny list hours ago."""
    lists = DenyListOfAFile()
    decide([row(0, "a")], strict(), [lists], NOW)
    lists.file = True
    again = row(0, "a")
    decide_again([again], strict(), [lists], NOW)
    assert again.verdict is not None
    assert (again.verdict.decision, again.verdict.decided_by) == (Decision.BLOCK, DecidedBy.DENY_LIST)


EARLIER = PreviousDecision(decision=Decision.BLOCK, offset=0, decided_at=NOW)
TWO = holding_builder(held_policy("p"), held_policy("q"))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(
            DecisionContext(EARLIER, frozenset({"p", "q"})),
            DecisionContext(EARLIER, frozenset({"q"})),
            id="of two holds of one block the shorter ends",
        ),
        pytest.param(
            DecisionContext(said={"p": Decision.BLOCK, "q": Decision.REVIEW}, override_revision=4),
            DecisionContext(said={"q": Decision.REVIEW}, override_revision=4),
            id="of two overrides the older one is taken back",
        ),
    ],
)
def test_an_id_covers_what_the_newest_hold_or_override_does_not_tell(
    before: DecisionContext, after: DecisionContext
) -> None:
    """Readers that drop repeats by id would else keep the decision of before."""
    one = TWO.fresh(event(1), classification(), NOW, before)
    other = TWO.fresh(event(1), classification(), NOW, after)
    assert one.decisions != other.decisions
    assert one.verdict_id != other.verdict_id
    # From the cache the same.
    assert TWO.verdict(event(1), one, NOW, after).verdict_id == other.verdict_id
    assert TWO.verdict(event(1), other, NOW, before).verdict_id == one.verdict_id
