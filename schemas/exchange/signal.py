"""What the ad exchange is told of one chat under one policy: a few short values, no text and no id of ours.

Invariants: `unevaluated` and `unknown` are values of their own and never become `allow`; a blocked chat carries its
decision and nothing else.
"""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from schemas.marker import RejectionMarker
from schemas.taxonomy import Taxonomy
from schemas.verdict import DecidedBy, Decision, Verdict

ID_CHARACTERS: Final = 32
DEFAULT_ID_KEY: Final = b"verdictstream"
SPECIAL_CATEGORY_IDS: Final = frozenset({"186", "187", "286", "301", "383", "453"})
"""Ids of the Content Taxonomy that are special category data: family, bereavement, medical and mental health, law,
religion. They must not be tied to a user."""

_EARLIEST_MS: Final = 1_293_840_000_000
"""2011, Kafka's first year."""
_LATEST_MS: Final = 4_102_444_800_000
"""2100."""


class SignalDecision(StrEnum):
    """What a buyer may rely on."""

    ALLOW = "allow"
    REVIEW = "review"
    BLOCK = "block"
    """No bid request is sent for such a chat."""
    UNEVALUATED = "unevaluated"
    """Something of the conversation was not judged, and the policy holds it back for that."""
    UNKNOWN = "unknown"
    """There is no verdict, or none under this policy."""


class RiskBand(StrEnum):
    """The calibrated risk that a banned chat passes as safe, in steps that an ad server can target."""

    VERY_LOW = "very_low"
    """At most 0.01."""
    LOW = "low"
    """At most 0.05."""
    MEDIUM = "medium"
    """At most 0.20."""
    HIGH = "high"
    UNKNOWN = "unknown"
    """Not known for this policy, or part of the conversation was not judged."""


_BANDS: Final = ((0.01, RiskBand.VERY_LOW), (0.05, RiskBand.LOW), (0.20, RiskBand.MEDIUM))


def risk_band(risk: float | None) -> RiskBand:
    """Return the band of a risk.

    Args:
        risk: 0..1; None where it is not known.
    """
    if risk is None:
        return RiskBand.UNKNOWN
    return next((band for most, band in _BANDS if risk <= most), RiskBand.HIGH)


@dataclass(frozen=True)
class Signal:
    """What is said of one chat; what is not known, or not to be said, is None or empty."""

    decision: SignalDecision
    id: str | None = None
    """The chat under an opaque id."""
    risk: RiskBand = RiskBand.UNKNOWN
    policy: str | None = None
    """Name and version, as in `default@1`."""
    category: str | None = None
    """Code of the taxonomy."""
    category_name: str | None = None
    iab: tuple[str, ...] = ()
    """Ids of the IAB Tech Lab's Content Taxonomy 3."""
    taxonomy: str | None = None
    model: str | None = None
    language: str | None = None
    event_time: str | None = None
    """When the event was written, as in 2026-01-02T03:04:05.678Z."""
    verdict_id: str | None = None
    unevaluated: tuple[str, ...] = ()

    @property
    def may_bid(self) -> bool:
        """Whether a bid request may be sent at all; what it says is then the buyer's to judge."""
        return self.decision is not SignalDecision.BLOCK

    @property
    def is_sensitive(self) -> bool:
        """Whether an id of it is special category data, never to be sent with a user's id."""
        return not SPECIAL_CATEGORY_IDS.isdisjoint(self.iab)


def opaque_id(chat_id: str, key: bytes = DEFAULT_ID_KEY) -> str:
    """Return a chat's id for others: the first half of HMAC-SHA-256, 32 hex digits.

    Args:
        chat_id: The chat.
        key: Under the default key whoever knows a chat_id can tell which chat it is; under a secret one nobody can.
    """
    return hmac.new(key, chat_id.encode(), hashlib.sha256).hexdigest()[:ID_CHARACTERS]


def signal_of(
    outcome: Verdict | RejectionMarker | None,
    *,
    policy: str | None = None,
    taxonomy: Taxonomy | None = None,
    risk: float | None = None,
    identify: Callable[[str], str] = opaque_id,
) -> Signal:
    """Return what to say of a chat.

    Args:
        outcome: The chat's newest verdict or marker; None where there is neither.
        policy: Name of the policy that decides; None: the verdict's default policy.
        taxonomy: Its `iab_content` is used where the verdict is of this taxonomy.
        risk: The calibrated risk under this policy, 0..1; by default the verdict's own, which is the default policy's.
        identify: Turns a chat_id into what others may see.
    """
    if outcome is None:
        return Signal(SignalDecision.UNKNOWN)
    if isinstance(outcome, RejectionMarker):
        return Signal(SignalDecision.UNKNOWN, id=identify(outcome.chat_id))
    name = outcome.policy.name if policy is None else policy
    decided = outcome.decisions.get(name)
    if decided is None:
        return Signal(SignalDecision.UNKNOWN, id=identify(outcome.chat_id))
    if decided.decision is Decision.BLOCK:
        return Signal(SignalDecision.BLOCK, id=identify(outcome.chat_id))
    is_held_back = decided.decision is Decision.REVIEW and decided.decided_by is DecidedBy.UNEVALUATED
    if risk is None and name == outcome.policy.name:
        risk = outcome.banned_to_safe_risk
    is_known = taxonomy is not None and taxonomy.ref == outcome.taxonomy
    return Signal(
        decision=SignalDecision.UNEVALUATED if is_held_back else SignalDecision(decided.decision),
        id=identify(outcome.chat_id),
        risk=RiskBand.UNKNOWN if outcome.unevaluated else risk_band(risk),
        policy=f"{name}@{decided.version}",
        category=outcome.category.code,
        category_name=outcome.category.name,
        iab=taxonomy.iab_content.get(outcome.category.code, ()) if taxonomy is not None and is_known else (),
        taxonomy=f"{outcome.taxonomy.name}@{outcome.taxonomy.version}",
        model=f"{outcome.model.name}@{outcome.model.version}",
        language=outcome.language,
        event_time=_event_time(outcome.source.timestamp_ms),
        verdict_id=outcome.verdict_id,
        unevaluated=outcome.unevaluated,
    )


def _event_time(timestamp_ms: int) -> str | None:
    """Return a record's time; None where it has none, or one that can be no such time."""
    if not _EARLIEST_MS <= timestamp_ms < _LATEST_MS:
        return None
    seconds, milliseconds = divmod(timestamp_ms, 1_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{milliseconds:03d}Z"
