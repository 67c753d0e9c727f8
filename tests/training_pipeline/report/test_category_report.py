"""The report by category is scikit-learn's, for any number of models."""

import re

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.metrics import classification_report, roc_auc_score

from training_pipeline.quality.evaluate import Predictions
from training_pipeline.quality.metrics import NO_ANSWER
from training_pipeline.report.category_curves import category_roc
from training_pipeline.report.category_report import banned_groups, category_report, report_rows
from training_pipeline.report.document import Identity, ModelReport

_CODES = ["not_toxic", "toxic", "jailbreak"]


def _model(name: str, labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> ModelReport:
    confusion = np.zeros((3, 4), dtype=np.int64)
    np.add.at(confusion, (labels, predicted), 1)  # NO_ANSWER is the last column
    return ModelReport.model_construct(
        identity=Identity(name=name, kind="bundle", detail=""),
        agreed={"categories": {code: {} for code in _CODES}},
        confusion=confusion.tolist(),
    )


def _drawn(seed: int, *, with_gaps: bool = False) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 3, 200)
    predicted = np.where(random.random(200) < 0.7, labels, random.integers(0, 3, 200))
    return labels, np.where(random.random(200) < 0.1, NO_ANSWER, predicted) if with_gaps else predicted


@pytest.mark.parametrize("seed", range(5))
def test_every_figure_is_that_of_scikit_learn(seed: int) -> None:
    """People know that table; one that differs in a mean would mislead them."""
    labels, predicted = _drawn(seed)
    expected = classification_report(
        labels, predicted, labels=range(3), target_names=_CODES, output_dict=True, zero_division=0.0
    )
    rows = {row.name: row for row in report_rows(_model("one", labels, predicted))}
    for name in (*_CODES, "macro avg", "weighted avg"):
        found = (rows[name].precision, rows[name].recall, rows[name].f1, rows[name].support)
        wanted = tuple(expected[name][figure] for figure in ("precision", "recall", "f1-score", "support"))
        assert found == pytest.approx(wanted)
    assert rows["accuracy"].f1 == pytest.approx(expected["accuracy"])


def test_of_one_model_the_text_is_that_of_scikit_learn_but_for_the_heading() -> None:
    """White space aside, figure for figure."""
    labels, predicted = _drawn(1)
    expected = classification_report(labels, predicted, target_names=_CODES, digits=3)
    found = category_report([_model("one", labels, predicted)], [])
    assert [line.split() for line in found.splitlines()[1:]] == [line.split() for line in expected.splitlines()]


def test_a_category_that_is_never_named_and_one_without_chats_have_zeroes() -> None:
    """As scikit-learn has them, and without a division by nothing."""
    rows = {row.name: row for row in report_rows(_model("one", np.array([0, 0, 1]), np.array([0, 0, 0])))}
    assert (rows["toxic"].precision, rows["toxic"].recall, rows["toxic"].f1, rows["toxic"].support) == (0, 0, 0, 1)
    assert (rows["jailbreak"].f1, rows["jailbreak"].support) == (0, 0)


def test_a_chat_without_an_answer_is_missed_by_its_category_and_charged_to_no_other() -> None:
    """An LLM's invalid answer is an error, in recall and in accuracy."""
    labels, predicted = _drawn(2, with_gaps=True)
    rows = {row.name: row for row in report_rows(_model("llm", labels, predicted))}
    assert rows["accuracy"].f1 == pytest.approx((labels == predicted).mean())
    assert rows["toxic"].precision == pytest.approx((labels[predicted == 1] == 1).mean())
    assert rows["toxic"].recall == pytest.approx((predicted[labels == 1] == 1).mean())


def test_models_stand_abreast_with_one_column_of_support() -> None:
    """Three fit a screen; a fourth begins a table of its own."""
    models = [_model(f"model {i}", *_drawn(7)) for i in range(4)]
    text = category_report(models, [])
    heads = [line for line in text.splitlines() if "model" in line]
    assert [re.findall(r"model \d", line) for line in heads] == [["model 0", "model 1", "model 2"], ["model 3"]]
    assert text.count("support") == 2
    assert max(map(len, text.splitlines())) < 120


def test_banned_against_safe_follows_where_more_than_two_categories_are() -> None:
    """The binary case of the same answers: a jailbreak that is called toxic is found."""
    labels, predicted = _drawn(3)
    model = _model("one", labels, predicted)
    groups = banned_groups(_CODES, ["toxic", "jailbreak"])
    assert groups is not None
    rows = {row.name: row for row in report_rows(model, groups)}
    expected = classification_report(labels > 0, predicted > 0, output_dict=True)
    assert rows["banned"].precision == pytest.approx(expected["True"]["precision"])
    assert rows["safe"].recall == pytest.approx(expected["False"]["recall"])
    assert rows["accuracy"].f1 == pytest.approx(expected["accuracy"])
    assert " banned" in category_report([model], ["toxic", "jailbreak"])


@pytest.mark.parametrize("banned", [[], ["a", "b", "c"]])
def test_where_nothing_or_everything_is_banned_there_is_no_binary_case(banned: list[str]) -> None:
    """Nor is there one where the two categories are it."""
    assert banned_groups(["a", "b", "c"], banned) is None
    assert banned_groups(["a", "b"], ["b"]) is None


def test_each_category_has_its_roc_curve_against_all_others() -> None:
    """A category that no chat is of has none, and a chat without an answer is found last."""
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 60)
    probabilities = random.dirichlet([1, 1, 1], 60).astype(np.float32)
    probabilities[7] = np.nan
    predicted = np.where(np.isnan(probabilities[:, 0]), NO_ANSWER, probabilities.argmax(axis=1))
    found = category_roc(Predictions(labels, predicted, probabilities, decisions=None), _CODES)
    assert found.keys() == {"not_toxic", "toxic"}
    scores = np.where(np.isnan(probabilities), -1, probabilities)
    assert found["toxic"].area == pytest.approx(roc_auc_score(labels == 1, scores[:, 1]), abs=1e-4)
    assert found["toxic"].points[0] == (0.0, 0.0)
    assert found["toxic"].points[-1] == (1.0, 1.0)
