"""Twenty policies, and verdicts on which a wrong reading of the policy table shows.

The verdicts are of a bundle's calibration chats, and of evidence on and around every threshold, with every reason why
something was not evaluated, languages, lengths, times, and what people, lists and holds say.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import combinations, cycle, islice
from random import Random
from typing import Any, Final, NamedTuple

from model import Bundle
from model.evidence.rule import Unevaluated
from model.policies.context import EVERY_POLICY, NO_CONTEXT, DecisionContext
from model.policies.policy_set import Decided, PolicySet
from model.policies.table import policy_rows
from schemas import CHAT_13, DecidedBy, Decision, Policy, PolicyRef, PreviousDecision, Verdict, category_label
from schemas.policy import Enforcement
from schemas.policy_table import PolicyTableRow
from tests.schemas.payloads import make_verdict

NOW: Final = datetime(2026, 11, 30, 12, tzinfo=UTC)
MOMENT: Final = timedelta(microseconds=1)
TIMES: Final = (NOW - timedelta(days=1), NOW - MOMENT, NOW, NOW + MOMENT, NOW + timedelta(days=1))
LIMIT: Final = 500
LENGTHS: Final = (0, LIMIT - 1, LIMIT, LIMIT + 1, 2**40, None)
LANGUAGES: Final = ("en", "de", "fr", "tlh", None)
REASONS: Final = [chosen for n in range(4) for chosen in combinations([*map(str, Unevaluated), "image"], n)]
_UNREAD_RATIO: Final = 0.4
_CONTEXT_RATIO: Final = 0.3
_TAKEN: Final = frozenset({DecidedBy.DENY_LIST, DecidedBy.OVERRIDE, DecidedBy.HOLD})
_UNIT: Final = 1_000_000
_ELSEWHERE: Final = timezone(timedelta(hours=2))
MUST, SHOULD, MAY = Enforcement.MUST, Enforcement.SHOULD, Enforcement.MAY

_DIFFERENT: Final[tuple[dict[str, Any], ...]] = (
    {"name": "default"},
    {"name": "strict", "max_banned_to_safe_rate": 0.01, "max_safe_to_banned_rate": 0.005},
    {"name": "loose", "max_banned_to_safe_rate": 0.3, "max_safe_to_banned_rate": 0.3},
    {"name": "nothing is allowed", "max_banned_to_safe_rate": 1e-6},
    {"name": "nothing is blocked", "max_safe_to_banned_rate": 1e-6},
    {"name": "all but A", "banned": frozenset(CHAT_13.codes) - {"A"}},
    {"name": "C E, for an advertiser", "banned": frozenset("CE"), "requested_by": "advertiser-7"},
    {"name": "should", "enforcement": {"D": SHOULD, "J": SHOULD, "M": SHOULD}},
    {"name": "must should may", "enforcement": {"D": SHOULD, "J": MAY, "M": MUST}},
    {"name": "may", "enforcement": {"D": MAY, "J": MAY, "M": MAY}},
    {"name": "nothing banned", "banned": frozenset(), "requested_by": "advertiser-8"},
    {"name": "nothing banned, in English", "banned": frozenset(), "languages": {"en"}, "requested_by": "advertiser-8"},
    {"name": "unevaluated blocks", "unevaluated": "block"},
    {"name": "all as it is", "unevaluated": "as_is", "uncalibrated_languages": "as_is"},
    {"name": "foreign blocks", "uncalibrated_languages": "block", "unevaluated": "as_is"},
    {"name": 'ümlaut / "quoted" \\ 🙂', "languages": {"de", "en"}, "requested_by": "advertiser-9"},
    {"name": "short", "max_message_characters": LIMIT, "unevaluated": "as_is"},
    {"name": "from", "valid_from": NOW.astimezone(_ELSEWHERE), "hold_block_s": 3_600},
    {"name": "until", "valid_until": NOW, "requested_by": "advertiser-10", "hold_block_s": 3_600},
    {"name": "between", "valid_from": NOW, "valid_until": NOW + MOMENT, "max_message_characters": LIMIT},
)
_USUAL: Final = {
    "version": "3",
    "banned": frozenset("DJM"),
    "max_banned_to_safe_rate": 0.05,
    "max_safe_to_banned_rate": 0.02,
}


def twenty_policies() -> list[Policy]:
    """Return policies over chat-13 that differ in everything that a policy can say."""
    return [Policy.model_validate(_USUAL | fields) for fields in _DIFFERENT]


class Read(NamedTuple):
    """What a verdict says of a chat besides decisions, and what bears on these."""

    evidence: dict[str, float]
    category: str
    unevaluated: tuple[str, ...]
    language: str | None
    longest_message: int | None
    at: datetime
    context: DecisionContext

    def decided_by(self, policies: PolicySet) -> Decided:
        """Return what policies say of it."""
        return policies.decide(
            self.evidence,
            category=self.category,
            unevaluated=self.unevaluated,
            language=self.language,
            longest_message=self.longest_message,
            at=self.at,
            context=self.context,
        )

    def verdict(self, bundle: Bundle, policies: PolicySet, **fields: Any) -> Verdict:
        """Return the verdict on it, as the worker builds it."""
        decided, policy = self.decided_by(policies), policies.default.policy
        return make_verdict(
            taxonomy=bundle.taxonomy.ref,
            category=category_label(self.category, bundle.taxonomy),
            probabilities=self.evidence,
            language=self.language,
            longest_message=self.longest_message,
            unevaluated=self.unevaluated,
            decisions=dict(decided.decisions),
            policy=PolicyRef(name=policy.name, version=policy.version),
            banned_probability=decided.judgement.banned_probability,
            banned_to_safe_risk=decided.judgement.banned_to_safe_risk,
            decision=decided.judgement.decision,
            decided_by=decided.judgement.decided_by,
            model=bundle.ref,
            decided_at=self.at,
            previous=self.context.previous,
            override_revision=self.context.override_revision,
            **fields,
        )


def some_readings(bundle: Bundle, policies: PolicySet, n: int) -> Iterator[Read]:
    """Yield readings on and around every threshold, and those of a bundle's calibration chats; always the same ones.

    Args:
        bundle: Whose calibration chats they are.
        policies: Whose thresholds.
        n: How many.
    """
    random = Random(18)  # noqa: S311  not a secret
    names = [rule.policy.name for rule in policies.rules]
    rows = policy_rows(policies, bundle.ref, bundle.taxonomy)
    found = [*_on_thresholds(rows, random), *_of_calibration(bundle)]
    random.shuffle(found)
    for evidence, category in islice(cycle(found), n):
        yield Read(
            evidence,
            category,
            # Most chats are read as a whole.
            random.choice(REASONS) if random.random() < _UNREAD_RATIO else (),
            random.choice(LANGUAGES),
            random.choice(LENGTHS),
            random.choice(TIMES),
            _context(random, names) if random.random() < _CONTEXT_RATIO else NO_CONTEXT,
        )


def with_wrong_decisions(verdict: Verdict) -> Verdict:
    """Return a verdict whose decisions are wrong, but for those that a reader must take from it."""
    wrong = {Decision.ALLOW: Decision.BLOCK, Decision.REVIEW: Decision.ALLOW, Decision.BLOCK: Decision.ALLOW}
    decisions = {
        name: one
        if one.decided_by in _TAKEN
        else one.model_copy(update={"decision": wrong[one.decision], "decided_by": DecidedBy.MODEL})
        for name, one in verdict.decisions.items()
    }
    return verdict.model_copy(update={"decisions": decisions})


def _of_calibration(bundle: Bundle) -> Iterator[tuple[dict[str, float], str]]:
    codes = bundle.taxonomy.codes
    for row in bundle.calibration_evidence:
        yield dict(zip(codes, row.tolist(), strict=True)), codes[int(row.argmax())]


def _on_thresholds(rows: Sequence[PolicyTableRow], random: Random) -> Iterator[tuple[dict[str, float], str]]:
    """Yield evidence whose sums are thresholds of policies and of the floor, one less and one more."""
    for row in rows:
        counted, must = [*row.must, *row.should], list(row.must)
        sums = [(counted, row.allow_below), (must, row.block_from), (counted, 1.0), (must, 1.0), (counted, 0.0)]
        if row.floor is not None:
            sums += [([*row.floor.codes], row.floor.allow_below), ([*row.floor.codes], row.floor.block_from)]
        for codes, score in sums:
            for off in range(-6, 7):
                yield from _summing_up(codes, round(score * _UNIT) + off, random)


def _summing_up(codes: Sequence[str], units: int, random: Random) -> Iterator[tuple[dict[str, float], str]]:
    """Yield evidence with this sum over some codes, with a category outside of them and with one of them."""
    if not codes:
        return
    left, values = max(0, units), dict.fromkeys(CHAT_13.codes, 0)
    for code in codes[:-1]:
        values[code] = min(_UNIT, random.randint(0, left))
        left -= values[code]
    values[codes[-1]] = min(_UNIT, left)
    others = [code for code in CHAT_13.codes if code not in codes]
    rest = random.choice(others)
    values[rest] = _UNIT - min(_UNIT, max(0, units))
    evidence = {code: value / _UNIT for code, value in values.items()}
    yield evidence, rest
    yield evidence, random.choice(codes)


def _context(random: Random, names: Sequence[str]) -> DecisionContext:
    """Return what bears on a decision besides."""
    previous = PreviousDecision(decision=Decision.BLOCK, offset=7, decided_at=NOW - timedelta(hours=1))
    some = frozenset(random.sample(names, 5))
    said = dict.fromkeys(sorted(some), random.choice(list(Decision)))
    return random.choice(
        [
            DecisionContext(is_denied=True, said=said, override_revision=3),
            DecisionContext(is_allowed=True),
            DecisionContext(previous, some),
            DecisionContext(previous, frozenset(names), said=said, override_revision=4),
            DecisionContext(said={EVERY_POLICY: random.choice(list(Decision))}, override_revision=5),
        ]
    )


def as_a_topic_holds_them(rows: Sequence[PolicyTableRow]) -> list[PolicyTableRow]:
    """Return rows among those of another bundle, and of versions before and after, which would block every chat."""

    def others(version: str, digest: str | None = None) -> list[PolicyTableRow]:
        changed: dict[str, object] = {"allow_below": 0.0, "block_from": 0.0, "must": rows[0].must or ("D",)}
        return [
            row.model_copy(
                update=changed
                | {"policy": row.policy.model_copy(update={"version": version})}
                | ({} if digest is None else {"model": row.model.model_copy(update={"digest": digest})})
            )
            for row in rows
        ]

    return [*others("0.1"), *others(rows[0].policy.version, "sha256:" + "0" * 64), *rows, *others("99")]
