"""Exact intervals: against scipy's values, and against what they promise."""

import random

import pytest

from console.review.intervals import exact_share, weighted_share

SCIPY = [
    (0, 1, 0.0, 0.975),
    (0, 28, 0.0, 0.12343611850026),
    (1, 3, 0.00840375865961, 0.90570067594995),
    (19, 20, 0.75126723722797, 0.99873491050205),
    (20, 20, 0.83156652901691, 1.0),
    (173, 200, 0.80969082731660, 0.90911289824510),
    (4_999, 5_000, 0.99888618061966, 0.99999493645122),
    (3, 100_000, 6.18676395840e-06, 8.76702025686e-05),
]
"""As the exact method of scipy's `binomtest` gives them: n, of, low, high."""


@pytest.mark.parametrize(("n", "of", "low", "high"), SCIPY)
def test_it_is_clopper_and_pearsons(n: int, of: int, low: float, high: float) -> None:
    """To ten digits, for large counts too."""
    share = exact_share(n, of)
    assert share.value == n / of
    assert [share.low, share.high] == pytest.approx([low, high], rel=1e-10)


def test_of_nothing_there_is_no_share() -> None:
    """And no division by zero."""
    assert exact_share(0, 0).value is weighted_share([]).value is None


@pytest.mark.parametrize(("n", "of"), [(-1, 1), (2, 1)])
def test_a_count_that_is_none_is_refused(n: int, of: int) -> None:
    """It would be a fault of the caller's."""
    with pytest.raises(ValueError, match="expected 0 to"):
        exact_share(n, of)


def test_equal_probabilities_give_the_exact_interval() -> None:
    """Weights that do not differ weigh nothing."""
    weighted = weighted_share([(True, 0.1)] * 17 + [(False, 0.1)] * 3)
    exact = exact_share(17, 20)
    assert (weighted.value, weighted.low, weighted.high) == pytest.approx(
        (exact.value, exact.low, exact.high), rel=1e-6
    )


def test_rare_strata_weigh_as_many_items_as_they_stand_for() -> None:
    """One of ten from a stratum of 10, all wrong; one of 100 from a stratum of 1,000, all right."""
    share = weighted_share([(False, 1.0)] * 10 + [(True, 0.01)] * 10)
    assert share.value == pytest.approx(1_000 / 1_010)


def test_a_sample_that_agrees_has_an_interval_with_a_width() -> None:
    """20 of 20 right does not mean always right."""
    share = weighted_share([(True, 0.5)] * 10 + [(True, 0.05)] * 10)
    assert share.value == 1.0
    assert share.low is not None
    assert 0.6 < share.low < exact_share(20, 20).low  # type: ignore[operator]


@pytest.mark.parametrize("inclusion", [0.0, -0.1, 1.1])
def test_a_probability_that_is_none_is_refused(inclusion: float) -> None:
    """No weight could be made of it."""
    with pytest.raises(ValueError, match="inclusion"):
        weighted_share([(True, inclusion)])


def test_the_weighted_interval_holds_the_truth_as_often_as_it_says() -> None:
    """1,000 stratified samples of a population whose strata differ in size and quality."""
    chance = random.Random(11)  # noqa: S311  a simulation, no secret
    strata = ((10_000, 0.99), (500, 0.80), (100, 0.50))
    truth = sum(size * quality for size, quality in strata) / sum(size for size, _ in strata)
    n_held = 0
    for _ in range(1_000):
        drawn = [
            (chance.random() < quality, min(1.0, 40 / size)) for size, quality in strata for _ in range(min(40, size))
        ]
        share = weighted_share(drawn)
        assert share.low is not None
        assert share.high is not None
        n_held += share.low <= truth <= share.high
    assert n_held >= 930
