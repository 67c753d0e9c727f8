"""The weights of pieces: as large as natural chats allow, and chosen by chats that carry no guarantee."""

from typing import Any

import numpy as np
import pytest

from schemas import CHAT_13, Role, Turn
from tests.training_pipeline.chat_13 import GROUPS
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.evidence.mixtures import CODE_BLOCK, MIXTURES, mixed, safe_pastes
from training_pipeline.evidence.piece_weights import Answers, fit_piece_weights

D, E, J, M = (CHAT_13.codes.index(code) for code in "DEJM")
N = 400


def rows(columns: dict[int, Any]) -> np.ndarray:
    """Return probabilities, float64 [N, 13]; what is left of each row is category E's."""
    found = np.zeros((N, len(CHAT_13.codes)))
    for column, values in columns.items():
        found[:, column] = values
    found[:, E] += 1 - found.sum(axis=1)
    return found


def chats_of(texts: list[str], categories: str) -> LabelledChats:
    """Return chats of one user message each."""
    n = len(texts)
    return LabelledChats(
        chat_ids=[str(i) for i in range(n)],
        texts=texts,
        labels=np.array([CHAT_13.codes.index(code) for code in categories]),
        soft_labels=np.zeros((n, len(CHAT_13.codes)), dtype=np.float32),
        agreed=np.ones(n, dtype=bool),
        rejected={},
        conversations=[[Turn(Role.USER, text), Turn(Role.ASSISTANT, "I see.")] for text in texts],
        sources=["own"] * n,
        licence_classes=["own"] * n,
    )


@pytest.fixture
def labels() -> np.ndarray:
    """Return half E, half M."""
    return np.where(np.arange(N) % 2, M, E)


def natural_answers(labels: np.ndarray, piece_of_safe: float) -> Answers:
    """Return chats that the window judges well, and whose safe ones have pieces that look like M."""
    rng = np.random.default_rng(1)
    banned = labels == M
    windows = rows({M: np.where(banned, rng.uniform(0.5, 1, N), rng.uniform(0, 0.3, N))})
    pieces = windows.copy()
    pieces[:, M] = np.maximum(windows[:, M], np.where(banned, windows[:, M], piece_of_safe))
    return Answers(labels, windows, pieces)


def hidden_answers(labels: np.ndarray) -> Answers:
    """Return mixtures: the window sees nothing, a piece of each banned chat is plain."""
    windows = rows({M: 0.05})
    pieces = windows.copy()
    pieces[labels == M, M] = 0.95
    return Answers(labels, windows, pieces)


def test_a_weight_is_large_where_natural_chats_allow_it(labels: np.ndarray) -> None:
    """Nothing speaks against it, and mixtures speak for it."""
    fitted = fit_piece_weights(natural_answers(labels, 0.0), hidden_answers(labels), GROUPS)
    assert fitted.weights[M] >= 0.3
    assert fitted.without.mixed_banned_below == 1.0
    assert fitted.with_pieces.mixed_banned_below == 0.0
    assert fitted.with_pieces.natural_banned_below == fitted.without.natural_banned_below


def test_a_weight_never_costs_natural_chats(labels: np.ndarray) -> None:
    """Where a piece of every safe chat looks banned, its weight keeps it below the threshold."""
    natural = natural_answers(labels, 0.9)
    fitted = fit_piece_weights(natural, hidden_answers(labels), GROUPS)
    assert 0.9 * fitted.weights[M] < 0.53
    assert fitted.with_pieces.natural_banned_below <= fitted.without.natural_banned_below + 0.0125


def test_given_weights_are_taken_as_they_are(labels: np.ndarray) -> None:
    """Whoever gives one knows why; the others are fitted round it."""
    fitted = fit_piece_weights(
        natural_answers(labels, 0.9), hidden_answers(labels), GROUPS, {"M": 0.95, "D": 0.2, "F": 0.1}
    )
    assert fitted.weights[[M, D, CHAT_13.codes.index("F")]].tolist() == [0.95, 0.2, 0.1]
    assert fitted.weights[J] == 0.0


def test_chats_of_one_side_fit_nothing(labels: np.ndarray) -> None:
    """There is no threshold to keep."""
    natural = natural_answers(labels, 0.0)
    one_sided = Answers(np.full(N, M), natural.windows, natural.pieces)
    with pytest.raises(ValueError, match="all banned or all safe"):
        fit_piece_weights(one_sided, hidden_answers(labels), GROUPS)


def test_every_other_category_has_the_largest_weight_that_finds_its_own_chats_as_well(labels: np.ndarray) -> None:
    """Other policies ban other categories, and sum their evidence."""
    fitted = fit_piece_weights(natural_answers(labels, 0.0), hidden_answers(labels), GROUPS)
    assert fitted.weights[E] == 1.0
    assert fitted.weights[CHAT_13.codes.index("B")] == 0.0


def test_mixtures_are_the_same_for_the_same_seed_and_keep_the_chat() -> None:
    """The chat's own text stands in each, and only the last user message changes."""
    chats = chats_of(["How do I do this?", "And that?"], "EM")
    pastes = ["Pasted text. " * 30, "Another one. " * 30]
    for kind in MIXTURES:
        first, again = (mixed(chats, kind, pastes, seed=7) for _ in range(2))
        assert first == again
        for own, turns in zip(chats.conversations, first, strict=True):
            assert own[0].text in turns[0].text
            assert turns[1:] == own[1:]
            assert len(turns[0].text) > len(own[0].text)
    assert mixed(chats, "code_after", pastes, seed=7)[0][0].text.endswith(CODE_BLOCK)


def test_pastes_are_long_safe_user_messages() -> None:
    """A banned paste would change the label."""
    chats = chats_of(["short", "safe " * 80, "banned " * 80], "EEM")
    assert safe_pastes(chats, chats.labels != M) == ["safe " * 80]
    assert safe_pastes(chats.take(np.array([0, 2])), np.array([True, False])) == ["short"]
    with pytest.raises(ValueError, match="no held-out chat is safe"):
        safe_pastes(chats, np.zeros(3, dtype=bool))
