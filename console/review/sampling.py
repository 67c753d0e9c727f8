"""Which automatic decisions are looked at by people: a stratified random sample with known probabilities. Pure.

A stratum is one decision of one policy in one category. For a day it has one rate, made of how many verdicts it had the
day before, and a verdict is drawn where the hash of its id lies below the rate. So the draw is the same whichever
console reads the verdict and in whatever order, and the last verdict of a day is as likely as the first.

A person judges by one policy's banned categories, so a sample tells of one policy alone. Of a verdict's policies the
hash chooses it before anything is drawn, each as likely.

Counted and drawn are decisions on texts: a hit of the cache repeats one, and is neither. So are the words of people,
lists and earlier decisions, which tell nothing of the automation.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from schemas import Decision, Verdict, VerdictKind
from schemas.verdict import IN_PLACE_OF_A_POLICY, VERDICT_SCHEMA_VERSION

RATE_UNITS: Final = 1_000_000_000
"""Rates stand in the database as whole numbers of such parts."""
_ASSUMED_OF_A_NEW_POLICY: Final = 10_000
"""Verdicts of a stratum in a day, where the policy had none the day before: neither none nor too many are drawn."""
_ASSUMED_SHARE: Final = 0.01
"""Of its policy's verdicts, where a stratum had none the day before: what is new may be much."""


class Stratum(NamedTuple):
    """What is sampled for itself."""

    policy: str
    decision: str
    """allow or block."""
    category: str

    @property
    def key(self) -> str:
        """As it stands in `counts`, beside the policy: neither part has a slash."""
        return f"{self.decision}/{self.category}"

    @property
    def name(self) -> str:
        """As it stands at an item; the policy, which may have a slash, comes last."""
        return f"{self.key}/{self.policy}"


def strata_of(verdict: Verdict) -> list[Stratum]:
    """Return the strata of a verdict, that of the default policy first; none where nothing was decided by automation.

    Reviews are in none: people look at all of them.
    """
    if not is_new_decision(verdict):
        return []
    names = [verdict.policy.name, *(name for name in verdict.decisions if name != verdict.policy.name)]
    return [
        Stratum(name, said.decision.value, verdict.category.code)
        for name in names
        if (said := verdict.decisions[name]).decision is not Decision.REVIEW
        and said.decided_by not in IN_PLACE_OF_A_POLICY
    ]


def is_live(verdict: Verdict) -> bool:
    """Say whether a verdict answers an event of the live traffic: no replay's, no person's, none of an older form."""
    return (
        verdict.kind is VerdictKind.EVENT
        and verdict.replay_id is None
        and verdict.schema_version == VERDICT_SCHEMA_VERSION
    )


def is_new_decision(verdict: Verdict) -> bool:
    """Say whether a verdict of the live traffic was judged anew, and repeats no earlier one."""
    return is_live(verdict) and not verdict.cache_hit


def position(verdict_id: str, of: bytes = b"vs-sample") -> float:
    """Return where a verdict lies between 0 and 1: the same on every machine, and even over all ids.

    Args:
        verdict_id: The verdict.
        of: For what; positions for other things tell nothing of this one. At most 16 bytes.
    """
    digest = hashlib.blake2b(verdict_id.encode(), digest_size=8, person=of).digest()
    # A float has 53 bits.
    return (int.from_bytes(digest, "big") >> 11) / (1 << 53)


def rates_for(strata: Iterable[Stratum], before: Mapping[Stratum, int], *, per_stratum: int) -> dict[Stratum, float]:
    """Return the day's rates.

    Args:
        strata: Whose rates are wanted.
        before: How many verdicts each stratum had the day before.
        per_stratum: How many are to be drawn of each in a day.

    Returns:
        Probabilities, 0 to 1.
    """
    of_policy: dict[str, int] = {}
    for stratum, n in before.items():
        of_policy[stratum.policy] = of_policy.get(stratum.policy, 0) + n
    rates = {}
    for stratum in strata:
        expected: float = before.get(stratum, 0)
        if expected == 0:
            n_policy = of_policy.get(stratum.policy, 0)
            expected = _ASSUMED_SHARE * n_policy if n_policy else _ASSUMED_OF_A_NEW_POLICY
        rates[stratum] = min(1.0, per_stratum / max(1.0, expected))
    return rates


class Draw(NamedTuple):
    """A verdict that is drawn."""

    stratum: Stratum
    inclusion: float
    """How likely that was."""


def drawn(verdict_id: str, policies: Iterable[str], rates: Mapping[Stratum, float]) -> Draw | None:
    """Return for which stratum a verdict is drawn; None where it is not.

    Args:
        verdict_id: The verdict.
        policies: Whose decisions it has; of all of them, those that left it to a person among them, one is chosen.
        rates: Of its strata. A stratum's rate is reached although its policy is chosen for some verdicts only.
    """
    named = sorted(policies)
    if not named:
        return None
    chosen = named[int(position(verdict_id, b"vs-policy") * len(named))]
    stratum = next((one for one in rates if one.policy == chosen), None)
    if stratum is None:
        return None
    rate = min(1.0, rates[stratum] * len(named))
    return Draw(stratum, rate / len(named)) if position(verdict_id) < rate else None
