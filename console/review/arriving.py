"""What a record of the pipeline's topics becomes in the database. Pure.

Replays judge old traffic again, and overrides are people's words: neither counts as live traffic.
"""

from collections.abc import Collection, Mapping
from typing import Any, Final

from console.review.sampling import Stratum, drawn, is_live, position, strata_of
from console.settings.operations import ReviewSettings
from console.store.counting import HOUR_MS, Counted
from model.figures.lengths import length_key
from schemas import Decision, Review, Source, Verdict, VerdictKind

UNKNOWN: Final = "unknown"
"""Key of what a verdict does not tell."""
N_DECILES: Final = 10
NO_RISK_KNOWN: Final = 0.5
"""Of a review whose policy's categories are not known: only its age orders it."""

_LANGUAGE_CHARACTERS: Final = 16
_KEY_CHARACTERS: Final = 96


def item_of_review(
    review: Review, settings: ReviewSettings, *, now_ms: int, risk: float, chat_hash: str | None
) -> dict[str, Any]:
    """Return the row of `items` for a review.

    Args:
        review: As its record says.
        settings: Of the queue.
        now_ms: When it arrives.
        risk: The score of the first policy that asks, 0 to 1; see `risk_of`.
        chat_hash: Keyed hash of the chat; None without a key.
    """
    policies = [
        {
            "name": one.name,
            "version": one.version,
            "decision": Decision.REVIEW.value,
            "decided_by": one.decided_by.value,
        }
        for one in review.policies
    ]
    return {
        "kind": "review",
        "queue": review.policies[0].name,
        "verdict_id": review.verdict_id,
        "chat_id": review.chat_id,
        "chat_hash": chat_hash,
        **_place(review.source),
        "fingerprint": review.fingerprint,
        "policies": policies,
        "category": review.category.code,
        **_judged(review),
        "risk": risk,
        "order_ms": order_ms(now_ms, risk, settings),
        **_arrived(now_ms, settings),
        "stratum": None,
        "inclusion": None,
    }


def sampled(
    verdict: Verdict,
    rates: Mapping[Stratum, float],
    settings: ReviewSettings,
    *,
    now_ms: int,
) -> dict[str, Any] | None:
    """Return the row of `items` for a verdict that is drawn for the sample; None for all others.

    Args:
        verdict: As its record says.
        rates: The day's, of at least the verdict's strata.
        settings: Of the queue.
        now_ms: When it arrives.

    Returns:
        A row without the chat's keyed hash, which few verdicts need. Its queue is the policy for which it was drawn,
        which alone has `inclusion` among its `policies`.
    """
    chosen = drawn(verdict.verdict_id, verdict.decisions, {stratum: rates[stratum] for stratum in strata_of(verdict)})
    if chosen is None:
        return None
    policies = [
        {"name": name, "version": said.version, "decision": said.decision.value, "decided_by": said.decided_by.value}
        | ({"inclusion": chosen.inclusion} if name == chosen.stratum.policy else {})
        for name, said in verdict.decisions.items()
    ]
    return {
        "kind": "sample",
        "queue": chosen.stratum.policy,
        "verdict_id": verdict.verdict_id,
        "chat_id": verdict.chat_id,
        **_place(verdict.source),
        "fingerprint": verdict.content_fingerprint,
        "policies": policies,
        "category": verdict.category.code,
        **_judged(verdict),
        "risk": verdict.banned_probability,
        # By chance: when a sample is answered must not depend on what the model says. Behind all reviews it would
        # seldom be answered, and an item whose answer is known, which stands among them, would be told from it.
        "order_ms": order_ms(now_ms, position(verdict.verdict_id, b"vs-order"), settings),
        **_arrived(now_ms, settings),
        "stratum": chosen.stratum.name,
        "inclusion": chosen.inclusion,
    }


def order_ms(arrived_ms: int, risk: float, settings: ReviewSettings) -> int:
    """Return by what open items are ordered, the smallest first: when it came, less the bonus of its risk."""
    return arrived_ms - round(risk * settings.age_bonus_s * 1_000)


def risk_of(evidence: Mapping[str, float], codes: Collection[str] | None) -> float:
    """Return a policy's score, 0 to 1, as serving takes it.

    Args:
        evidence: By code, as reviews hold it.
        codes: What counts against `allow` under the policy; None where that is not known.
    """
    if codes is None:
        return NO_RISK_KNOWN
    return min(1.0, round(sum(p for code, p in evidence.items() if code in codes), 6))


def counts_of(verdict: Verdict) -> list[Counted]:
    """Return what of a verdict is counted, in the hour in which it was decided; nothing of replays and overrides.

    | what | policy | key |
    | --- | --- | --- |
    | decision | each | allow, review, block |
    | stratum | each | decision/category, see `console.review.sampling` |
    | category | - | its code |
    | score | the default policy | tenth of the score: 0 to 9 |
    | language | - | as the verdict has it, or unknown |
    | length | - | bound of the bucket (model/figures/lengths.py), or unknown |
    | stage | - | which part of the model answered |
    | cache | - | hit, miss |
    """
    if not is_live(verdict):
        return []
    hour = hour_of(moment_ms(verdict))
    length = verdict.longest_message
    found = [
        *(("decision", name, said.decision.value) for name, said in verdict.decisions.items()),
        *(("stratum", stratum.policy, stratum.key) for stratum in strata_of(verdict)),
        ("category", "", verdict.category.code),
        ("score", verdict.policy.name, str(min(N_DECILES - 1, int(verdict.banned_probability * N_DECILES)))),
        ("language", "", verdict.language or UNKNOWN),
        ("length", "", UNKNOWN if length is None else length_key(length)),
        ("stage", "", verdict.stage),
        ("cache", "", "hit" if verdict.cache_hit else "miss"),
    ]
    return [Counted(hour, what, policy, key[:_KEY_CHARACTERS]) for what, policy, key in found]


def is_answered_by(verdict: Verdict) -> bool:
    """Say whether a verdict is a person's word after which no policy asks any longer."""
    return verdict.kind is VerdictKind.OVERRIDE and not any(
        said.decision is Decision.REVIEW for said in verdict.decisions.values()
    )


def moment_ms(judged: Verdict | Review) -> int:
    """Return when something was decided, milliseconds since 1970."""
    return round(judged.decided_at.timestamp() * 1_000)


def hour_of(at_ms: int) -> int:
    """Return the beginning of an hour."""
    return at_ms - at_ms % HOUR_MS


def _place(source: Source) -> dict[str, Any]:
    return {
        "topic": source.topic,
        "partition": source.partition,
        "record_offset": source.offset,
        "timestamp_ms": source.timestamp_ms,
    }


def _judged(judged: Verdict | Review) -> dict[str, Any]:
    """Return the columns that verdicts and reviews have under one name."""
    language = judged.language
    return {
        "taxonomy": judged.taxonomy.model_dump(),
        "evidence": dict(judged.evidence),
        "language": None if language is None else language[:_LANGUAGE_CHARACTERS],
        "unevaluated": list(judged.unevaluated),
        "model": judged.model.model_dump(),
        "decided_ms": moment_ms(judged),
    }


def _arrived(now_ms: int, settings: ReviewSettings) -> dict[str, Any]:
    return {"state": "open", "arrived_ms": now_ms, "n_wanted": settings.opinions, "n_answers": 0}
