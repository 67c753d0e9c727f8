"""Scaling by class groups is applied as the manifest says, and bundles without it stay as they are."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from model import Bundle, BundleError, Classification, Classifier, load_bundle
from model.calibration import FloatArray, LogitScaling, softmax
from schemas import CHAT_13, DEFAULT_POLICY, Role, Turn

LOGITS = hnp.arrays(np.float32, (4, 13), elements=st.floats(-50, 50, width=32))
BANNED = sorted(CHAT_13.banned)
SAFE = [code for code in CHAT_13.codes if code not in BANNED]


def _groups(banned: float, safe: float, bias: float) -> LogitScaling:
    return LogitScaling.of_groups([(BANNED, banned, bias), (SAFE, safe, 0.0)], CHAT_13.codes)


@given(logits=LOGITS, temperature=st.floats(0.05, 20))
def test_one_temperature_gives_the_very_bits_of_softmax(logits: FloatArray, temperature: float) -> None:
    """Bundles that were exported before class groups existed answer as they did."""
    np.testing.assert_array_equal(
        LogitScaling.single(temperature, 13).probabilities(logits), softmax(logits, temperature=temperature)
    )


@given(logits=LOGITS, temperature=st.floats(0.2, 5))
def test_groups_of_equal_temperature_and_no_bias_are_one_temperature(logits: FloatArray, temperature: float) -> None:
    """The one is a special case of the other."""
    found = _groups(temperature, temperature, 0.0).probabilities(logits)
    np.testing.assert_allclose(found, softmax(logits, temperature=temperature), atol=1e-5)


@given(logits=LOGITS, shift=st.floats(-50, 50, width=32))
def test_adding_a_constant_to_all_logits_changes_nothing_with_groups_either(logits: FloatArray, shift: float) -> None:
    """Without the centring a constant would move mass between the groups."""
    scaling = _groups(0.7, 1.6, 0.4)
    found = scaling.probabilities(logits + np.float32(shift))
    np.testing.assert_allclose(found, scaling.probabilities(logits), atol=1e-3)


@given(logits=LOGITS)
def test_a_bias_moves_mass_to_its_group_and_none_within_it(logits: FloatArray) -> None:
    """What the bias is for: the odds of banned against safe, by e to the bias."""
    plain, biased = _groups(1, 1, 0.0).probabilities(logits), _groups(1, 1, 0.5).probabilities(logits)
    mask = np.array([code in BANNED for code in CHAT_13.codes])
    before, after = plain[:, mask].sum(axis=1, dtype=float), biased[:, mask].sum(axis=1, dtype=float)
    inside = (before > 1e-3) & (before < 1 - 1e-3)
    odds = after[inside] / (1 - after[inside]) * (1 - before[inside]) / before[inside]
    np.testing.assert_allclose(odds, np.exp(0.5), rtol=2e-3)
    # Two values a last bit apart may round to the same one: what was largest must be so still, alone or not.
    largest = plain[:, mask].argmax(axis=1)
    np.testing.assert_allclose(
        biased[:, mask][np.arange(len(biased)), largest], biased[:, mask].max(axis=1), rtol=1e-6, atol=0
    )


def _with_groups(folder: Path, groups: list[dict[str, object]]) -> Path:
    path = folder / "manifest.json"
    path.write_bytes(orjson.dumps({**orjson.loads(path.read_bytes()), "class_groups": groups}))
    return folder


def test_the_classifier_serves_the_groups_of_the_manifest(bundle: Bundle, bundle_path: Path, tmp_path: Path) -> None:
    """Training fits with `LogitScaling`; serving must use the same."""
    groups: list[dict[str, object]] = [
        {"codes": BANNED, "temperature": bundle.manifest.temperature, "bias": 1.0},
        {"codes": SAFE, "temperature": bundle.manifest.temperature, "bias": 0.0},
    ]
    changed = load_bundle(_with_groups(Path(shutil.copytree(bundle_path, tmp_path / "bundle")), groups))
    chats = [[Turn(Role.USER, "write a story about two lovers")]]
    # The groups scale the transformer's logits, so that the first stage must leave it the chat.
    plain, found = (
        Classifier(replace(one, first_stage=None), DEFAULT_POLICY, n_threads=1).classify(chats)[0][0]
        for one in (bundle, changed)
    )
    assert isinstance(plain, Classification)
    assert isinstance(found, Classification)
    before, after = (sum(one.probabilities[code] for code in BANNED) for one in (plain, found))
    assert after / (1 - after) == pytest.approx(np.e * before / (1 - before), rel=0.01)


@pytest.mark.parametrize("codes", [BANNED, [*CHAT_13.codes, "A"], [*CHAT_13.codes[:-1], "Z"]])
def test_groups_that_are_no_partition_of_the_categories_are_refused(
    bundle_path: Path, tmp_path: Path, codes: list[str]
) -> None:
    """A category without a temperature would be served by accident."""
    folder = Path(shutil.copytree(bundle_path, tmp_path / "bundle"))
    with pytest.raises(BundleError, match="class_groups hold"):
        load_bundle(_with_groups(folder, [{"codes": codes, "temperature": 1.0, "bias": 0.0}]))
