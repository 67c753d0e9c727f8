"""Kappas and tables against scikit-learn, statsmodels and published figures."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss_kappa

from schemas import CHAT_13
from training_pipeline.data.agreement import agreement_report, fleiss_kappa, top_confusions

# Fleiss (1971), as reproduced in the literature: 10 subjects, 14 raters, 5 categories, kappa 0.210.
FLEISS_COUNTS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]

full_votes = st.integers(2, 5).flatmap(
    lambda n: arrays(np.int64, st.tuples(st.integers(2, 30), st.just(n)), elements=st.integers(0, 12))
)


def test_fleiss_kappa_of_the_published_example() -> None:
    """The figure everybody else computes too."""
    votes = np.array([np.repeat(np.arange(5), counts) for counts in FLEISS_COUNTS])
    assert fleiss_kappa(votes) == pytest.approx(0.210, abs=5e-4)


@settings(deadline=None)
@given(full_votes)
def test_fleiss_kappa_is_that_of_statsmodels_where_all_have_voted(votes: np.ndarray) -> None:
    """Ours also takes abstentions, so it must not differ where there are none."""
    found = fleiss_kappa(votes)
    if found is None:
        assert len(np.unique(votes)) == 1
    else:
        assert found == pytest.approx(statsmodels_fleiss_kappa(aggregate_raters(votes)[0]), abs=1e-9)


@settings(deadline=None)
@given(full_votes)
def test_pairs_are_those_of_scikit_learn_and_abstentions_are_left_out(votes: np.ndarray) -> None:
    """An abstention counted as a fourteenth category would flatter or slander an annotator."""
    votes = votes.copy()
    votes[:: 2 + len(votes) % 3, 0] = -1
    report = agreement_report(votes, [f"a{i}" for i in range(votes.shape[1])])
    pair = report["pairs"][0]
    both = votes[(votes[:, 0] >= 0) & (votes[:, 1] >= 0)][:, :2]
    assert pair["n_common"] == len(both)
    if len(both):
        assert pair["agreement_ratio"] == pytest.approx((both[:, 0] == both[:, 1]).mean())
        assert np.array(pair["confusion"]).sum() == len(both)
        if len(np.unique(both)) > 1:
            assert pair["cohen_kappa"] == pytest.approx(cohen_kappa_score(both[:, 0], both[:, 1]))
        else:
            assert pair["cohen_kappa"] is None


def test_the_category_table_and_the_confusions_by_hand() -> None:
    """Three chats of two annotators: E-E, E-J, and one abstention."""
    e, j = CHAT_13.codes.index("E"), CHAT_13.codes.index("J")
    report = agreement_report(np.array([[e, e], [e, j], [e, -1]]), ["x", "y"])
    # Three votes for E have a fellow vote; two of the fellows say E.
    assert report["categories"]["E"] == {
        "n_chats_named": 3,
        "n_votes": 4,
        "positive_agreement_ratio": pytest.approx(2 / 3),
    }
    assert report["categories"]["J"]["positive_agreement_ratio"] == 0
    assert report["categories"]["A"]["positive_agreement_ratio"] is None
    assert report["annotators"]["y"]["n_abstained"] == 1
    assert report["pairs"][0]["banned_safe_disagreement_ratio"] == 0.5
    assert top_confusions(report, 5) == [("E", "J", 1)]


def test_votes_without_a_pair_have_no_kappa() -> None:
    """One annotator agrees with nobody, rather than perfectly."""
    assert fleiss_kappa(np.array([[3, -1], [-1, 4]])) is None
