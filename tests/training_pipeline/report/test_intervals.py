"""Intervals and tests against scipy, scikit-learn and statsmodels."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score, roc_auc_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint

from schemas import CHAT_13
from tests.training_pipeline.chat_13 import BANNED_COLUMNS
from tests.training_pipeline.report.conftest import made_predictions
from training_pipeline.quality.evaluate import OPERATING_POINTS, Predictions, figures
from training_pipeline.quality.metrics import NO_ANSWER, safety_metrics
from training_pipeline.report.document import Count
from training_pipeline.report.exact import exact_interval
from training_pipeline.report.intervals import draws, figures_once, figures_per_draw, interval
from training_pipeline.report.measure import _intervals
from training_pipeline.report.paired import differences, mcnemar_p_value
from training_pipeline.report.tables import f1, spread


def test_every_figure_of_a_resample_is_that_of_the_resampled_chats() -> None:
    """The fast way over all draws must mean what the slow way over one means."""
    whole = made_predictions(2)
    per_draw = figures_per_draw(whole, BANNED_COLUMNS, 20, seed=3)
    (block,) = draws(len(whole), 20, seed=3)
    for i, drawn in enumerate(block):
        one = Predictions(whole.labels[drawn], whole.predicted[drawn], whole.probabilities[drawn], None)
        expected = figures(one, BANNED_COLUMNS)
        banned = BANNED_COLUMNS
        scores = one.probabilities[:, banned].sum(axis=1)
        assert per_draw["roc_auc"][i] == pytest.approx(roc_auc_score(banned[one.labels], scores))
        for name in per_draw.keys() - {"roc_auc"}:
            assert per_draw[name][i] == pytest.approx(expected[name], abs=6e-5), name


def test_the_figures_once_are_those_of_the_manifest() -> None:
    """An interval around another number than the one in the manifest would confuse everyone."""
    whole = made_predictions(2, n_missing=9)
    expected, once = figures(whole, BANNED_COLUMNS), figures_once(whole, BANNED_COLUMNS)
    assert {name: round(once[name], 4) for name in once.keys() - {"roc_auc"}} == {
        name: expected[name] for name in once.keys() - {"roc_auc"}
    }


def test_the_interval_is_the_percentile_bootstrap_of_scipy() -> None:
    """Same draws, same bounds."""
    whole = made_predictions(2)
    right = (whole.predicted == whole.labels).astype(float)
    expected = stats.bootstrap(
        (right,), np.mean, n_resamples=500, method="percentile", rng=np.random.default_rng(7)
    ).confidence_interval
    found = interval(right.mean(), figures_per_draw(whole, BANNED_COLUMNS, 500, seed=7)["accuracy"])
    assert (found.low, found.high) == (round(expected.low, 4), round(expected.high, 4))


def test_large_data_is_drawn_in_blocks_of_bounded_size() -> None:
    """Two thousand resamples of a million chats at once would be 16 GB."""
    blocks = list(draws(150_000, 5, seed=0))
    assert [block.shape for block in blocks] == [(2, 150_000), (2, 150_000), (1, 150_000)]


def test_without_resamples_there_are_no_bounds() -> None:
    """A bound that was not computed must not look like one of width nought."""
    assert (interval(0.5, None).low, interval(0.5, None).high) == (None, None)


@pytest.mark.parametrize("count", [(0, 28), (28, 28), (1, 5), (10, 173), (1020, 1226)])
def test_exact_intervals_are_those_of_statsmodels(count: tuple[int, int]) -> None:
    """None of 28 may still be one in eight: 0 to 12.3 %."""
    found = exact_interval(Count(n=count[0], of=count[1]))
    expected = proportion_confint(*count, alpha=0.05, method="beta")
    assert (found.low, found.high) == pytest.approx(expected, abs=6e-5)
    if count == (0, 28):
        assert spread(found) == "0.0 to 12.3 %"
    assert exact_interval(Count(n=0, of=0)).low is None


def test_small_counts_are_never_reported_narrower_than_they_are() -> None:
    """A bootstrap of chats that are all right draws only such chats and claims certainty."""
    labels = np.array([CHAT_13.codes.index("M")] * 28 + [CHAT_13.codes.index("E")] * 30)
    probabilities = np.full((len(labels), len(CHAT_13.codes)), 0.001, dtype=np.float32)
    probabilities[np.arange(len(labels)), labels] = 0.988
    found = Predictions(labels, labels, probabilities, None)
    intervals = _intervals(found, BANNED_COLUMNS, figures_per_draw(found, BANNED_COLUMNS, 50, seed=1))
    for name in (
        "banned_to_safe_rate",
        *(f"banned_to_safe_rate_at_safe_to_banned_{rate}" for rate in OPERATING_POINTS),
    ):
        assert (intervals[name].low, intervals[name].high) == (0.0, 0.1234), name
    assert intervals["safe_to_banned_rate"].high == pytest.approx(1 - 0.025 ** (1 / 30), abs=1e-4)
    assert intervals["accuracy"].low == pytest.approx(0.025 ** (1 / 58), abs=1e-4)


def test_a_category_without_chats_has_no_f1_and_does_not_count_in_the_macro_mean() -> None:
    """0.000 reads as a failure, and a mean over it hides how many categories there were."""
    labels, predicted = np.array([0, 0, 3]), np.array([0, 5, 3])
    found = figures(
        Predictions(labels, predicted, np.zeros((3, 13), dtype=np.float32), None, has_scores=False), BANNED_COLUMNS
    )
    assert found["n_categories"] == 2
    assert found["macro_f1"] == pytest.approx((2 / 3 + 1) / 2, abs=1e-4)
    assert found["categories"]["F"] == {"precision": 0.0, "recall": None, "f1": None, "n_chats": 0}
    assert found["categories"]["B"]["precision"] is None
    assert f1(found["categories"]["F"]["f1"]) == "\u2013"


@pytest.mark.parametrize("counts", [(0, 0), (0, 5), (3, 9), (20, 20), (1, 30)])
def test_mcnemar_is_that_of_statsmodels(counts: tuple[int, int]) -> None:
    """The p-value that a decision rests on."""
    expected = mcnemar([[50, counts[0]], [counts[1], 40]], exact=True).pvalue if sum(counts) else 1.0
    assert mcnemar_p_value(*counts) == pytest.approx(min(expected, 1.0))


def test_a_model_does_not_differ_from_itself() -> None:
    """Paired: the same draws on both sides cancel, chat by chat."""
    one = made_predictions(2)
    drawn = figures_per_draw(one, BANNED_COLUMNS, 50, seed=1)
    for row in differences(one, one, (drawn, drawn), banned=BANNED_COLUMNS, names=("a", "b")):
        assert (row.difference.value, row.difference.low, row.difference.high) == (0, 0, 0)
        assert row.p_value in {1.0, None}


def test_differences_are_paired_and_count_who_alone_errs() -> None:
    """A better model differs downwards in every error and upwards in accuracy."""
    good, bad = made_predictions(2, skill=3.0), made_predictions(5, skill=0.5)
    drawn = tuple(figures_per_draw(one, BANNED_COLUMNS, 200, seed=1) for one in (good, bad))
    rows = {
        row.figure: row
        for row in differences(good, bad, (drawn[0], drawn[1]), banned=BANNED_COLUMNS, names=("good", "bad"))
    }
    assert rows.keys() >= {f"banned_to_safe_rate_at_safe_to_banned_{rate}" for rate in OPERATING_POINTS}
    passed = rows["banned_to_safe_rate"]
    mask = BANNED_COLUMNS
    wrong = [mask[good.labels] & ~mask[one.predicted] for one in (good, bad)]
    assert passed.n_only_model_wrong == (wrong[0] & ~wrong[1]).sum()
    assert passed.n_only_baseline_wrong == (wrong[1] & ~wrong[0]).sum()
    assert passed.n_chats == mask[good.labels].sum()
    assert passed.difference.value == pytest.approx((wrong[0].sum() - wrong[1].sum()) / passed.n_chats, abs=1e-4)
    assert passed.difference.high is not None
    assert passed.difference.high < 0 < rows["accuracy"].difference.value


def test_no_answer_is_wrong_in_the_direction_that_hurts() -> None:
    """A model that stays silent on hard chats must not look safer than one that tries."""
    labels = np.array([0, 0, 3, 3, 12])
    found = safety_metrics(labels, np.array([0, NO_ANSWER, 3, NO_ANSWER, NO_ANSWER]), BANNED_COLUMNS)
    assert (found.n_banned_to_safe, found.n_safe_to_banned) == (2, 1)
    assert found.accuracy == pytest.approx(2 / 5)
    # F1 over the three true categories; "no answer" is not averaged over as a category of its own.
    assert found.macro_f1 == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)


def test_the_new_figures_are_those_of_scikit_learn() -> None:
    """Weighted F1 and the counts of the pair."""
    whole = made_predictions(4)
    found = safety_metrics(whole.labels, whole.predicted, BANNED_COLUMNS)
    mask = BANNED_COLUMNS
    ((_, lost), (passed, _)) = confusion_matrix(mask[whole.labels], mask[whole.predicted])
    assert (found.n_banned_to_safe, found.n_safe_to_banned) == (passed, lost)
    assert found.weighted_f1 == pytest.approx(f1_score(whole.labels, whole.predicted, average="weighted"))
    assert found.accuracy == accuracy_score(whole.labels, whole.predicted)
