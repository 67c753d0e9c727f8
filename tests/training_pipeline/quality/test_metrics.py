import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, classification_report, confusion_matrix, f1_score

from model.calibration import softmax
from schemas import CHAT_13
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from training_pipeline.quality.metrics import (
    banned_to_safe_at,
    category_figures,
    expected_calibration_error,
    safety_metrics,
)


@pytest.fixture(scope="module")
def labels() -> NDArray[np.int64]:
    """Return random true categories."""
    return np.random.default_rng(1).integers(0, len(CHAT_13.codes), 600)


@pytest.fixture(scope="module")
def probabilities(labels: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return predictions that are right more often than not."""
    logits = np.random.default_rng(2).normal(size=(len(labels), len(CHAT_13.codes)))
    logits[np.arange(len(labels)), labels] += 1.5
    return softmax(logits.astype(np.float32))


def test_figures_are_those_of_scikit_learn(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> None:
    """Reported numbers must mean what everyone takes them to mean."""
    predicted = probabilities.argmax(axis=1)
    found = safety_metrics(labels, predicted, BANNED_COLUMNS)
    assert found.accuracy == accuracy_score(labels, predicted)
    assert found.macro_f1 == pytest.approx(f1_score(labels, predicted, average="macro"))
    mask = BANNED_COLUMNS
    ((_, safe_lost), (banned_passed, _)) = confusion_matrix(mask[labels], mask[predicted])
    assert found.banned_to_safe_rate == banned_passed / mask[labels].sum()
    assert found.safe_to_banned_rate == safe_lost / (~mask[labels]).sum()
    assert found.cross_category_error_rate == (safe_lost + banned_passed) / len(labels)


def test_category_figures_are_those_of_scikit_learn(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> None:
    """A category with few chats hides in an average."""
    predicted = probabilities.argmax(axis=1)
    expected = classification_report(labels, predicted, target_names=CHAT_13.codes, output_dict=True)
    for code, row in category_figures(labels, predicted, CHAT_13.codes).items():
        assert row["precision"] == pytest.approx(expected[code]["precision"], abs=1e-4)
        assert row["recall"] == pytest.approx(expected[code]["recall"], abs=1e-4)
        assert row["n_chats"] == expected[code]["support"]


def test_the_fixed_operating_point_loses_at_most_the_named_share_of_safe_chats(
    labels: NDArray[np.int64], probabilities: NDArray[np.float32]
) -> None:
    """banned->safe rates of two models compare only at the same safe->banned rate."""
    mask = BANNED_COLUMNS
    scores, banned = probabilities[:, mask].sum(axis=1), mask[labels]
    found = banned_to_safe_at(labels, probabilities, BANNED_COLUMNS, safe_to_banned_rate=0.05)
    thresholds = np.sort(scores[~banned])
    within = [t for t in thresholds if (scores[~banned] > t).mean() <= 0.05]
    assert found == pytest.approx((scores[banned] <= min(within)).mean())


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    """Two thirds right at a confidence of nine tenths is a gap of 0.9 - 2/3, whatever the other columns hold."""
    probabilities = np.full((300, len(CHAT_13.codes)), 0.1 / 12, dtype=np.float32)
    probabilities[:, 0] = 0.9
    labels = np.array([0, 0, 1] * 100)
    assert expected_calibration_error(labels, probabilities) == pytest.approx(0.9 - 2 / 3, abs=1e-6)
