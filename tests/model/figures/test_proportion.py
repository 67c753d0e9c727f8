"""Clopper-Pearson intervals against values worked out by hand."""

import pytest

from model.figures.proportion import clopper_pearson


@pytest.mark.parametrize(
    ("n", "of", "low", "high"),
    [
        # Of no event the upper bound is 1 - 0.025 ** (1 / n), and the lower bound of all events its mirror image.
        (0, 28, 0.0, 1 - 0.025 ** (1 / 28)),
        (28, 28, 0.025 ** (1 / 28), 1.0),
        (1, 1, 0.025, 1.0),
        (0, 1, 0.0, 0.975),
        # One of two: 2p(1-p) + p^2 = 0.025 below, and its mirror image above.
        (1, 2, 1 - 0.975**0.5, 0.975**0.5),
        # As scipy.stats.binomtest prints them.
        (5, 10, 0.187086, 0.812914),
        (18, 372, 0.0289259, 0.0753963),
        (10, 1_000_000, 0.0000047954, 0.0000183903),
    ],
)
def test_an_interval_is_exact(n: int, of: int, low: float, high: float) -> None:
    """By hand, and as others compute it."""
    assert clopper_pearson(n, of) == pytest.approx((low, high), abs=1e-6, rel=1e-4)


def test_a_smaller_confidence_gives_a_narrower_interval() -> None:
    """No event of 10: 1 - 0.05 ** (1 / 10) at 90 %."""
    assert clopper_pearson(0, 10, 0.9) == pytest.approx((0.0, 1 - 0.05**0.1))


@pytest.mark.parametrize(("n", "of"), [(0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(n: int, of: int) -> None:
    """There is no such share."""
    with pytest.raises(ValueError, match="at least one trial"):
        clopper_pearson(n, of)
