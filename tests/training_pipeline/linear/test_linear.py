from pathlib import Path
from typing import Literal

import numpy as np
import orjson
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from typer.testing import CliRunner

from model.windowing import Windowing
from schemas import CHAT_13
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.command_line import app
from training_pipeline.linear.linear_model import ANALYSERS, load_linear
from training_pipeline.linear.linear_training import LinearOptions, fit, grouped_folds, read_out_of_fold

QUICK = LinearOptions(solver="sgd", n_folds=3)


@pytest.fixture(scope="module")
def chats(labelled_files: tuple[Path, Path]) -> LabelledChats:
    """Return 200 sample chats."""
    return read_labelled_chats([labelled_files[0]], Windowing(), frozenset())


@pytest.mark.parametrize("solver", ["sgd", "logistic"])
def test_a_stored_stage_answers_what_it_answered_before(
    chats: LabelledChats, tmp_path: Path, solver: Literal["sgd", "logistic"]
) -> None:
    """It is put together again from terms and numbers; nothing is pickled."""
    model = fit(chats, LinearOptions(solver=solver), windowing=Windowing(), temperature=1.7)
    model.save(tmp_path)
    loaded, _ = load_linear(tmp_path)
    expected = model.probabilities(chats.texts)
    np.testing.assert_array_equal(loaded.probabilities(chats.texts), expected)
    np.testing.assert_allclose(expected.sum(axis=1), 1, atol=1e-5)
    assert (expected.argmax(axis=1) == chats.labels).mean() > 0.9
    assert {path.name for path in tmp_path.iterdir()} == {"linear.json", "linear.safetensors"}


def test_a_rebuilt_vectoriser_computes_the_features_of_the_fitted_one(chats: LabelledChats) -> None:
    """Scores would be of other terms otherwise, and still look like scores."""
    model = fit(chats, QUICK, windowing=Windowing())
    for vectoriser, options in zip(model._vectorisers, ANALYSERS.values(), strict=True):
        fitted = TfidfVectorizer(min_df=QUICK.min_chats, max_features=QUICK.max_terms, **options)
        expected = fitted.fit_transform(chats.texts)
        assert abs(vectoriser.transform(chats.texts) - expected).max() < 1e-6


def test_a_chat_with_two_labels_pulls_towards_both(chats: LabelledChats) -> None:
    """A soft label is more than its largest part."""
    one, other = 0, 1
    soft = np.zeros_like(chats.soft_labels)
    soft[:, one], soft[:, other] = 0.7, 0.3
    mixed = LabelledChats(chats.chat_ids, chats.texts, chats.labels, soft, chats.agreed, {})
    found = fit(mixed, LinearOptions(), windowing=Windowing()).probabilities(chats.texts)
    np.testing.assert_allclose(found[:, one].mean(), 0.7, atol=0.02)
    np.testing.assert_allclose(found[:, other].mean(), 0.3, atol=0.02)
    assert found[:, 2:].max() < 1e-6


def test_no_fold_is_fitted_on_a_chat_that_resembles_one_it_answers(chats: LabelledChats) -> None:
    """A near-duplicate in the other part would repeat its label and call it an answer."""
    twice = chats.take(np.concatenate([np.arange(60), np.arange(60)]))
    folds = grouped_folds(twice, QUICK)
    assert sorted(np.concatenate([left_out for _, left_out in folds]).tolist()) == list(range(120))
    for fitted, left_out in folds:
        assert not {twice.texts[i] for i in fitted} & {twice.texts[i] for i in left_out}


def test_the_command_writes_the_stage_and_an_answer_out_of_fold_for_every_chat(
    chats: LabelledChats, labelled_files: tuple[Path, Path], tmp_path: Path
) -> None:
    """The answers out of fold are less sure than those of a model that has seen the chats: that is their point."""
    arguments = ["train-linear", "--data", str(labelled_files[0]), "--out", str(tmp_path), "--solver", "sgd"]
    result = CliRunner().invoke(app, [*arguments, "--folds", "3"])
    assert result.exit_code == 0, result.output
    figures = orjson.loads(result.output.splitlines()[-1])["out_of_fold"]
    rows = [orjson.loads(line) for line in (tmp_path / "out_of_fold.jsonl").read_bytes().splitlines()]
    assert [row["chat_id"] for row in rows] == chats.chat_ids
    answers = np.array([[row["soft_label"][code] for code in CHAT_13.codes] for row in rows])
    accuracy = (answers.argmax(axis=1) == chats.labels).mean()
    assert accuracy == pytest.approx(figures["accuracy"], abs=1e-3)
    model, _ = load_linear(tmp_path)
    assert (model.probabilities(chats.texts).argmax(axis=1) == chats.labels).mean() > accuracy
    assert len(read_out_of_fold(tmp_path)) == len(set(chats.texts))


def test_too_few_chats_for_the_folds_are_refused(chats: LabelledChats) -> None:
    """With what is missing and what to do."""
    with pytest.raises(ValueError, match="expected at least 5"):
        grouped_folds(chats.take(np.arange(3)), LinearOptions(n_folds=5))
