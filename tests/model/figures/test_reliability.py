"""Reliability and confusion, on chats that can be counted by hand."""

import numpy as np
import pytest

from model.figures.reliability import confusion, expected_calibration_error, reliability

STATED = np.array([0.05, 0.1, 0.3, 0.45, 0.95, 1.0])
TRUE = np.array([False, True, False, True, True, True])


def test_bins_hold_what_is_stated_and_what_is_so() -> None:
    """Five bins: two chats below .2, two from .2 to .6, none to .8, two above; 1 falls into the last one."""
    bins = reliability(STATED, TRUE, 5)
    assert [(one.low, one.high, one.n, one.n_true) for one in bins] == [
        (0.0, 0.2, 2, 1),
        (0.2, 0.4, 1, 0),
        (0.4, 0.6, 1, 1),
        (0.8, 1.0, 2, 2),
    ]
    assert [one.stated for one in bins] == pytest.approx([0.075, 0.3, 0.45, 0.975])
    assert [one.found for one in bins] == [0.5, 0.0, 1.0, 1.0]
    # One of two, none of one, one of one, two of two.
    assert [one.least for one in bins] == pytest.approx([1 - 0.975**0.5, 0.0, 0.025, 0.025**0.5])
    assert [one.most for one in bins] == pytest.approx([0.975**0.5, 0.975, 1.0, 1.0])
    # Distances of .425 twice, .3, .55, and .025 twice.
    assert expected_calibration_error(bins) == pytest.approx(1.75 / 6)


def test_nothing_stated_is_no_error() -> None:
    """A bundle without calibration chats."""
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)) == []
    assert expected_calibration_error([]) == 0.0


def test_confusion_counts_true_by_named() -> None:
    """Rows are what is so."""
    assert confusion(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), 3) == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
