"""Curves, slices and attacks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, roc_auc_score

from model.windowing import Windowing
from schemas import CHAT_13, Role, Turn
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from tests.training_pipeline.report.conftest import made_predictions
from training_pipeline.augment.evasion import KINDS
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.quality.evaluate import Predictions
from training_pipeline.quality.metrics import banned_to_safe_at, expected_calibration_error
from training_pipeline.report import curves
from training_pipeline.report.attacks import attacks
from training_pipeline.report.slices import slice_names, slices


def test_areas_are_those_of_scikit_learn_and_the_curves_keep_their_ends() -> None:
    """Thinning is for drawing; the area is of the whole curve."""
    whole = made_predictions(2, n_chats=4_000, skill=0.8)
    banned = BANNED_COLUMNS
    scores = whole.probabilities[:, banned].sum(axis=1)
    roc, precision = curves.roc(whole, BANNED_COLUMNS), curves.precision_recall(whole, BANNED_COLUMNS)
    assert roc.area == pytest.approx(roc_auc_score(banned[whole.labels], scores), abs=1e-4)
    assert precision.area == pytest.approx(average_precision_score(banned[whole.labels], scores), abs=1e-4)
    assert (roc.points[0], roc.points[-1]) == ((0, 0), (1, 1))
    assert precision.points[-1][0] == 1
    assert len(roc.points) <= 250
    x, y = np.array(roc.points).T
    assert float(np.trapezoid(y, x)) == pytest.approx(roc.area, abs=0.01)


def test_operating_points_are_those_of_the_manifest_and_keep_their_promise() -> None:
    """At most the named share of safe chats is lost."""
    whole = made_predictions(2)
    for point in curves.operating_points(whole, BANNED_COLUMNS, None):
        rate = point.target_safe_to_banned_rate
        expected = banned_to_safe_at(whole.labels, whole.probabilities, BANNED_COLUMNS, safe_to_banned_rate=rate)
        assert point.banned_to_safe.rate == expected
        assert point.safe_to_banned.rate <= rate


def test_reliability_bins_add_up_to_the_calibration_error() -> None:
    """The picture and the number must tell the same story."""
    whole = made_predictions(2)
    gap = sum(b.n_chats * abs(b.mean_probability - b.share_true) for b in curves.reliability(whole)) / len(whole)
    assert gap == pytest.approx(expected_calibration_error(whole.labels, whole.probabilities), abs=1e-4)
    assert sum(b.n_chats for b in curves.banned_reliability(whole, BANNED_COLUMNS)) == len(whole)


def test_the_confusion_matrix_is_that_of_scikit_learn_with_a_column_for_no_answer() -> None:
    """Missing answers must not vanish from the picture."""
    whole = made_predictions(2, n_missing=7)
    table = np.array(curves.confusion(whole))
    answered = whole.predicted >= 0
    expected = confusion_matrix(whole.labels[answered], whole.predicted[answered], labels=range(len(CHAT_13.codes)))
    np.testing.assert_array_equal(table[:, :-1], expected)
    assert table[:, -1].sum() == 7


def test_slices_hold_every_chat_once_with_its_counts() -> None:
    """A slice is read beside its size."""
    conversations = [[Turn(Role.USER, "x" * n)] * m for n, m in ((10, 1), (200, 1), (500, 2), (400, 7))]
    names = slice_names(conversations)
    assert names["characters"] == ["1 to 80", "81 to 300", "301 to 1000", "over 1000"]
    assert names["messages"] == ["1", "1", "2 to 3", "over 6"]
    labels, predicted = np.array([0, 3, 12, 4]), np.array([0, 0, 12, 3])
    whole = Predictions(labels, predicted, np.zeros((4, 13), dtype=np.float32), None)
    first, *_, last = slices(whole, names["messages"], BANNED_COLUMNS)
    assert (first.name, first.n_chats, first.accuracy, first.banned_to_safe.n) == ("1", 2, 0.5, 1)
    assert (last.name, last.safe_to_banned.n, last.safe_to_banned.of) == ("over 6", 1, 1)


def test_attacks_disguise_the_users_words_of_banned_chats_only(few_chats: Path) -> None:
    """Recall under attack is about banned chats; the assistant does not evade."""
    chats = read_labelled_chats([few_chats], Windowing(), frozenset())
    seen: list[LabelledChats] = []

    def predict(attacked: LabelledChats) -> Predictions:
        seen.append(attacked)
        named = np.where(np.arange(len(attacked)) == 0, 0, attacked.labels)
        decisions = np.array(["allow"] * len(attacked))
        return Predictions(attacked.labels, named, np.zeros((len(attacked), 13), dtype=np.float32), decisions)

    found = attacks(chats, predict, BANNED_COLUMNS, seed=1)
    assert [attack.kind for attack in found] == ["none", *KINDS]
    assert {(attack.recalled.n, attack.recalled.of) for attack in found} == {(5, 6)}
    assert all(set(attacked.labels.tolist()) <= {3, 9, 12} for attacked in seen)
    for before, after in zip(seen[0].conversations, seen[1].conversations, strict=True):
        for old, new in zip(before, after, strict=True):
            assert old.role is new.role
            assert old.role is Role.USER or old == new
    assert seen[0].conversations != seen[1].conversations
    again = attacks(replace(chats), predict, BANNED_COLUMNS, seed=1)
    assert again == found
    assert seen[1].conversations == seen[len(found) + 1].conversations
