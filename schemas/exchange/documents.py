"""A signal in the three forms that ad technology reads: OpenRTB 2.6, Prebid's first-party data, key-values.

All of it speaks of the content. Nothing goes into `user`: what a conversation is about is not said of a person. A
browser and an ad server add user ids by themselves, so a category that is special category data is not named to them.

Source: OpenRTB 2.6 (Site, Content, Data); AdCOM's lists of category taxonomies and content contexts; the community
extension `segtax`; Google Ad Manager's limits on key-values.
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from schemas.exchange.signal import Signal, SignalDecision

CATTAX: Final = (7, 9)
"""AdCOM's numbers of the Content Taxonomies 3.0 and 3.1. Without one, ids are read as taxonomy 1.0."""
MIN_SEGTAX: Final = 500
"""The first number for vendors; below are the IAB Tech Lab's own."""
CONTEXT_APPLICATION: Final = 4
CONVERSATIONAL: Final = "1012"
"""Content Purpose: Conversational. It holds for every chat."""
EXT: Final = "verdictstream"

MAX_KEY_CHARACTERS: Final = 20
MAX_VALUE_CHARACTERS: Final = 40
_LONGEST_NAME: Final = len("decision")
_PREFIX: Final = re.compile(r"[a-z][a-z0-9_]*")
_ONLY_IN_3_1: Final = frozenset({"700"})
_ALPHA_2: Final = 2


class Form(StrEnum):
    """In which form a signal is written."""

    OPENRTB = "openrtb"
    """The part of an OpenRTB 2.6 bid request that speaks of the content."""
    PREBID = "prebid"
    """First-party data for Prebid.js: what `pbjs.setConfig` takes."""
    KEY_VALUES = "key-values"
    """Targeting of an ad server."""


@dataclass(frozen=True)
class ExchangeOptions:
    """What a publisher agrees upon with those who read the signals.

    Raises:
        ValueError: a number or a prefix is out of its limits.
    """

    cattax: int = CATTAX[0]
    """7: Content Taxonomy 3.0; 9: 3.1."""
    segtax: int | None = None
    """The number that is registered for the segments; None: no segments are sent."""
    provider: str = EXT
    """Who says it: the name of the Data object, often a domain."""
    key_prefix: str = "vs_"
    """Begins the key of each key-value: one prefix for each policy that is sent."""

    def __post_init__(self) -> None:
        if self.cattax not in CATTAX:
            raise ValueError(f"cattax is {self.cattax}; expected 7 (Content Taxonomy 3.0) or 9 (3.1)")
        if self.segtax is not None and self.segtax < MIN_SEGTAX:
            raise ValueError(
                f"segtax is {self.segtax}; expected a number from {MIN_SEGTAX} on, registered for your segments in the "
                "IAB Tech Lab's segtax.md; without one send no segments"
            )
        longest = MAX_KEY_CHARACTERS - _LONGEST_NAME
        if not _PREFIX.fullmatch(self.key_prefix) or len(self.key_prefix) > longest:
            raise ValueError(
                f"key prefix is {self.key_prefix!r}; expected a letter, then letters, digits and _, all small, at most "
                f"{longest}: an ad server's keys have {MAX_KEY_CHARACTERS} characters"
            )


def document(signal: Signal, form: Form, options: ExchangeOptions) -> dict[str, Any] | None:
    """Return a signal in a form; None where no bid request is to be sent."""
    if form is Form.KEY_VALUES:
        return key_values(signal, options)
    return openrtb(signal, options) if form is Form.OPENRTB else prebid(signal, options)


def openrtb(signal: Signal, options: ExchangeOptions) -> dict[str, Any] | None:
    """Return the part of an OpenRTB 2.6 bid request that speaks of the content; None for a blocked chat.

    It is merged into the request: `site` by its members. An app puts the same members into `app`.
    """
    if not signal.may_bid:
        return None
    ids = _ids(signal, options)
    content = {
        **_identity(signal),
        "context": CONTEXT_APPLICATION,
        "cattax": options.cattax,
        "cat": [*ids, CONVERSATIONAL],
        **_data(signal, options),
        "ext": {EXT: _extension(signal)},
    }
    return {"site": {"cattax": options.cattax, **_categories(ids), "content": content}}


def prebid(signal: Signal, options: ExchangeOptions) -> dict[str, Any] | None:
    """Return first-party data for Prebid.js; None for a blocked chat, for which no auction is held."""
    if not signal.may_bid:
        return None
    signal = _without_special_category(signal)
    site = {
        "cattax": options.cattax,
        **_categories(_ids(signal, options)),
        "content": {**_identity(signal), **_data(signal, options)},
        "ext": {"data": key_values(signal, options)},
    }
    return {"ortb2": {"site": site}}


def key_values(signal: Signal, options: ExchangeOptions) -> dict[str, str]:
    """Return an ad server's key-values: decision, risk and, where it is short enough, the category's code.

    Each has a closed set of values. Ad servers do not tell letters by case; nor do codes of a taxonomy.
    """
    signal = _without_special_category(signal)
    values = {"decision": signal.decision.value}
    if signal.decision not in (SignalDecision.BLOCK, SignalDecision.UNKNOWN):
        values["risk"] = signal.risk.value
        if signal.category is not None and len(signal.category) <= MAX_VALUE_CHARACTERS:
            values["category"] = signal.category
    return {f"{options.key_prefix}{name}": value for name, value in values.items()}


def _without_special_category(signal: Signal) -> Signal:
    return replace(signal, category=None, category_name=None, iab=()) if signal.is_sensitive else signal


def _ids(signal: Signal, options: ExchangeOptions) -> list[str]:
    left_out = _ONLY_IN_3_1 if options.cattax == CATTAX[0] else frozenset()
    return [one for one in signal.iab if one not in left_out]


def _categories(ids: list[str]) -> dict[str, Any]:
    return {"cat": ids, "pagecat": ids} if ids else {}


def _identity(signal: Signal) -> dict[str, Any]:
    known: dict[str, Any] = {} if signal.id is None else {"id": signal.id}
    if signal.language is not None:
        # `language` takes two letters; `langb` any tag of BCP 47. Only one of them may be there.
        known["language" if len(signal.language) == _ALPHA_2 else "langb"] = signal.language
    return known


def _data(signal: Signal, options: ExchangeOptions) -> dict[str, Any]:
    if options.segtax is None:
        return {}
    segments: list[dict[str, str]] = []
    if signal.category is not None:
        segments.append({"id": signal.category, "name": signal.category_name or signal.category})
    # No code of a taxonomy has a colon.
    segments += [{"id": f"decision:{signal.decision}"}, {"id": f"risk:{signal.risk}"}]
    return {"data": [{"name": options.provider, "segment": segments, "ext": {"segtax": options.segtax}}]}


def _extension(signal: Signal) -> dict[str, Any]:
    said: dict[str, Any] = {
        "decision": signal.decision.value,
        "risk": signal.risk.value,
        "policy": signal.policy,
        "taxonomy": signal.taxonomy,
        "model": signal.model,
        "event_time": signal.event_time,
        "verdict_id": signal.verdict_id,
    }
    if signal.unevaluated:
        said["unevaluated"] = [*signal.unevaluated]
    if signal.is_sensitive:
        said["sensitive"] = True
    return {name: value for name, value in said.items() if value is not None}
