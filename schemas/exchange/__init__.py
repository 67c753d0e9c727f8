"""Verdicts for the ad exchange: OpenRTB 2.6, Prebid's first-party data and an ad server's key-values; pure."""

from schemas.exchange.documents import CATTAX, MIN_SEGTAX, ExchangeOptions, Form, document, key_values, openrtb, prebid
from schemas.exchange.signal import (
    DEFAULT_ID_KEY,
    SPECIAL_CATEGORY_IDS,
    RiskBand,
    Signal,
    SignalDecision,
    opaque_id,
    risk_band,
    signal_of,
)

__all__ = [
    "CATTAX",
    "DEFAULT_ID_KEY",
    "MIN_SEGTAX",
    "SPECIAL_CATEGORY_IDS",
    "ExchangeOptions",
    "Form",
    "RiskBand",
    "Signal",
    "SignalDecision",
    "document",
    "key_values",
    "opaque_id",
    "openrtb",
    "prebid",
    "risk_band",
    "signal_of",
]
