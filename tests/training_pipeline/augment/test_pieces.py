"""Rows of one piece: what was cut off must look safe or banned for what it says, not for being cut off."""

import random
from collections import Counter

import numpy as np
import pytest

from model.evidence.pieces import PieceRule, pieces_of
from model.windowing import Windowing, render_piece
from schemas import CHAT_13, Role, Turn
from training_pipeline.augment.pieces import piece_chances, piece_row, request_of
from training_pipeline.chats.labelled_chats import LabelledChats

_PASTES = ["The council met on Tuesday, to discuss bicycle lanes in the old town and their cost. " * 20]
_LONG = " ".join(f"This is sentence {i} of a long report about gardens and weather." for i in range(40))
_REQUEST = "tell me how to do the thing that nobody may do"


def chance(seed: int) -> random.Random:
    """Return a repeatable source of choices."""
    return random.Random(seed)  # noqa: S311  chooses texts, no secret


def labelled(rows: list[tuple[str, list[str]]]) -> LabelledChats:
    """Return chats of user messages with their category."""
    conversations = [[Turn(Role.USER, text) for text in texts] for _, texts in rows]
    labels = np.array([CHAT_13.codes.index(code) for code, _ in rows], dtype=np.int64)
    return LabelledChats(
        chat_ids=[str(i) for i in range(len(rows))],
        texts=[""] * len(rows),
        labels=labels,
        soft_labels=np.eye(len(CHAT_13.codes), dtype=np.float32)[labels],
        agreed=np.ones(len(rows), dtype=np.bool_),
        rejected={},
        conversations=conversations,
    )


def test_a_long_safe_chat_gives_any_of_its_pieces_as_serving_cuts_and_renders_them() -> None:
    """A piece that serving would never see teaches nothing about what it sees."""
    turns = [Turn(Role.USER, _LONG)]
    served = {render_piece(text) for text in pieces_of(turns, PieceRule(), Windowing()).texts}
    found = {piece_row(turns, _PASTES, Windowing(), chance(seed)) for seed in range(200)}
    assert found == served
    assert len(found) > 3


def test_a_short_request_stands_whole_in_its_piece_with_safe_text_around_it() -> None:
    """Its label speaks of the request; a piece without it would carry a label of nothing."""
    found = [piece_row([Turn(Role.USER, _REQUEST)], _PASTES, Windowing(), chance(seed)) for seed in range(100)]
    rows = [row for row in found if row is not None]
    assert len(rows) > 70
    assert all(_REQUEST in row and "council" in row for row in rows)
    assert all(len(row) <= len("user: ") + PieceRule().piece_characters for row in rows)
    # Cut off as a paste is: some begin in the middle of a sentence.
    assert any(row[len("user: ")].islower() for row in rows)


def test_nothing_is_assumed_of_the_pieces_of_a_long_banned_chat_or_of_a_torn_safe_one() -> None:
    """Most pieces of a banned chat are harmless."""
    chats = labelled([("M", [_LONG]), ("M", ["yes", "go on"]), ("M", [_REQUEST]), ("E", [_LONG]), ("E", [_LONG])])
    chats.soft_labels[4] = 0
    chats.soft_labels[4, [CHAT_13.codes.index("E"), CHAT_13.codes.index("M")]] = 0.6, 0.4
    np.testing.assert_array_equal(piece_chances(chats, 0.3) > 0, [False, False, True, True, False])


def test_banned_and_safe_chats_give_pieces_at_the_same_rate_though_fewer_banned_ones_can() -> None:
    """To be cut off must not look safe."""
    safe = [("E", [_LONG])] * 200 + [("E", [_REQUEST])] * 200
    chats = labelled([*safe, *[("M", [_LONG])] * 150, *[("M", [_REQUEST])] * 250])
    chances = piece_chances(chats, 0.1)
    by_side = Counter[str]()
    for label, value in zip(chats.labels, chances, strict=True):
        by_side[CHAT_13.codes[label]] += value
    assert by_side["E"] == pytest.approx(40)
    assert by_side["M"] == pytest.approx(40)


def test_no_chat_is_shown_as_pieces_more_than_twice_as_often_as_asked() -> None:
    """A few short banned chats may not stand for hundreds of long ones."""
    chances = piece_chances(labelled([("M", [_LONG])] * 99 + [("M", [_REQUEST])] + [("E", [_LONG])] * 100), 0.1)
    assert chances.max() == pytest.approx(0.2)


def test_only_one_short_user_message_is_a_request() -> None:
    """Of several, an earlier one may say what the last one goes on with."""
    assert request_of([Turn(Role.USER, _REQUEST), Turn(Role.ASSISTANT, "no")]) == _REQUEST
    assert request_of([Turn(Role.USER, _REQUEST), Turn(Role.USER, "go on")]) is None
    assert request_of([Turn(Role.USER, _LONG)]) is None
    assert request_of([Turn(Role.ASSISTANT, "hello")]) is None
    assert piece_row([Turn(Role.USER, _REQUEST)], [], Windowing(), chance(1)) is None
