"""The population stability index against values worked out by hand."""

import math

import pytest

from model.figures.drift import ALERT, LEAST_VERDICTS, LOOK, drift


def test_the_index_is_the_sum_over_kinds() -> None:
    """Half and half against one to three: with half a chat added to each of 1,000 it is .25 ln 3 within .001."""
    found = drift({"a": 500, "b": 500}, {"a": 250, "b": 750})
    p, q = (500.5 / 1001, 500.5 / 1001), (250.5 / 1001, 750.5 / 1001)
    by_hand = sum((after - before) * math.log(after / before) for before, after in zip(p, q, strict=True))
    assert found.psi == pytest.approx(by_hand)
    assert found.psi == pytest.approx(0.25 * math.log(3), abs=0.001)
    assert found.level == "alert"
    assert [(kind.key, kind.expected, kind.found) for kind in found.kinds] == [("a", 0.5, 0.25), ("b", 0.5, 0.75)]
    assert sum(kind.part for kind in found.kinds) == pytest.approx(found.psi)
    # One degree of freedom: 1 * (1 / 1000 + 1 / 1000).
    assert found.by_chance == pytest.approx(0.002)


def test_the_same_mix_has_no_index() -> None:
    """Whatever the sizes."""
    found = drift({"a": 100, "b": 300}, {"a": 1_000, "b": 3_000})
    assert found.psi == pytest.approx(0, abs=1e-5)
    assert found.level == "steady"


def test_a_kind_that_one_side_lacks_counts() -> None:
    """Once in the reference alone, once in what is watched alone; neither is an infinity."""
    found = drift({"a": 999, "gone": 1}, {"a": 500, "new": 500})
    assert found.psi is not None
    assert math.isfinite(found.psi)
    assert found.psi > ALERT
    assert [kind.key for kind in found.kinds] == ["a", "gone", "new"]


@pytest.mark.parametrize(
    ("share", "level"), [(0.5, "steady"), (0.655, "steady"), (0.66, "look"), (0.71, "look"), (0.72, "alert")]
)
def test_levels_begin_where_the_rule_of_thumb_says(share: float, level: str) -> None:
    """From one half: (q - .5) ln(q / (1 - q)) passes .1 at about .655 and .2 at about .716."""
    n = 1_000_000
    found = drift({"a": n, "b": n}, {"a": round(n * share), "b": n - round(n * share)})
    assert found.level == level
    assert (LOOK, ALERT) == (0.1, 0.2)


def test_of_too_few_verdicts_or_without_a_reference_nothing_is_said() -> None:
    """Chance alone would raise an alert."""
    for found in (drift({"a": 10, "b": 10}, {"a": 1, "b": LEAST_VERDICTS - 2}), drift({}, {"a": 10_000})):
        assert (found.psi, found.by_chance, found.level) == (None, None, "unknown")
    assert drift({"a": 10, "b": 10}, {"a": 1, "b": LEAST_VERDICTS - 1}).psi is not None
