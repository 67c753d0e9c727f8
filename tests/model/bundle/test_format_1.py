"""Bundles of format 1 hold probabilities to five decimals, verdicts to six: both must name one score for one chat."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model import Bundle, load_bundle
from model.calibration import FORMAT_1_DECIMALS, FloatArray, banned_mask, policy_scores
from model.decision import DecisionRule
from model.evidence.rule import on_the_wire
from model.policies.thresholds import wire_units
from schemas import CHAT_13, DEFAULT_POLICY, Policy
from tests.tiny_bundle import tiny_bundle

N_CHATS = 300
BANNED_SETS = st.sets(st.sampled_from(CHAT_13.codes), min_size=1, max_size=12).map(frozenset)


@pytest.fixture(scope="module")
def format_1(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Return a small bundle of format 1."""
    return load_bundle(tiny_bundle(tmp_path_factory.mktemp("format-1") / "b", CHAT_13, format_version=1))


def calibrated_on(bundle: Bundle, rows: FloatArray) -> Bundle:
    """Return a bundle whose calibration chats are these, written as bundles of format 1 were."""
    stored = np.array([[round(float(value), FORMAT_1_DECIMALS) for value in row] for row in rows])
    labels = np.arange(len(rows)) % len(CHAT_13.codes)
    return replace(bundle, calibration_evidence=stored, calibration_labels=labels)


def test_a_bundle_of_format_1_loads_and_its_curves_say_how_fine_they_are(format_1: Bundle) -> None:
    """From its manifest alone."""
    curves = format_1.risk_curves(DEFAULT_POLICY)
    assert (format_1.manifest.format_version, curves.decimals) == (1, FORMAT_1_DECIMALS)
    assert format_1.taxonomy == CHAT_13


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), banned=BANNED_SETS)
def test_a_calibration_chat_scored_anew_gets_the_risk_of_its_stored_score(
    format_1: Bundle, seed: int, banned: frozenset[str]
) -> None:
    """Else ties break against the guarantee; where six decimals leave the stored score open, never a lesser risk."""
    rows = np.random.default_rng(seed).dirichlet(np.full(len(CHAT_13.codes), 0.2), N_CHATS).astype(np.float32)
    policy: Policy = DEFAULT_POLICY.model_copy(update={"banned": banned})
    bundle = calibrated_on(format_1, rows)
    rule = DecisionRule(policy, bundle.risk_curves(policy))
    stored_scores = policy_scores(bundle.calibration_evidence, banned_mask(banned, CHAT_13.codes)).tolist()
    for row, stored in zip(on_the_wire(rows).tolist(), stored_scores, strict=True):
        evidence = dict(zip(CHAT_13.codes, row, strict=True))
        found = rule.judgement(evidence, category="A" if "A" not in banned else min(set(CHAT_13.codes) - banned))
        cut, units = rule.thresholds, wire_units(evidence)
        least, largest = (min(1.0, score(units, banned) / cut.units) for score in (cut.block_score, cut.allow_score))
        assert least <= stored <= largest
        assert found.banned_to_safe_risk >= rule.curves.banned_to_safe_risk(stored)
        is_open = any(round(evidence[code] * 1_000_000) % 10 == 5 for code in banned)
        if not is_open:
            assert found.banned_to_safe_risk == rule.curves.banned_to_safe_risk(stored)


def test_a_stored_score_above_its_sixth_decimals_is_still_met(format_1: Bundle) -> None:
    """.281087 is stored as .28109: the chat itself counts among those that must not pass."""
    row = np.zeros((1, len(CHAT_13.codes)), np.float32)
    row[0, CHAT_13.columns["D"]], row[0, CHAT_13.columns["F"]] = 0.281087, 0.718913
    rows = np.repeat(row, 26, axis=0)
    bundle = calibrated_on(format_1, rows)
    rule = DecisionRule(DEFAULT_POLICY, bundle.risk_curves(DEFAULT_POLICY))
    evidence = dict(zip(CHAT_13.codes, on_the_wire(row)[0].tolist(), strict=True))
    found = rule.judgement(evidence, category="F")
    assert (found.banned_probability, found.banned_to_safe_risk) == (0.281087, 1.0)
