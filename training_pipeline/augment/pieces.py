"""Show one piece of a chat in place of the chat, cut as serving cuts it: the end of a sentence, the middle of a paste.

Serving judges a chat by its pieces too, and a text that begins and ends anywhere is unlike any chat. What a piece is
labelled follows from the side of its chat:

- Every piece of a safe chat is safe, so a safe chat gives any one of its pieces. Chats whose soft label has more than a
  little banned weight give none.
- A piece of a banned chat may be harmless, so it is never taken for banned. A banned chat gives a piece only where its
  one user message is short: the message stands inside safe text, and the piece is the one that holds it whole. Short
  safe chats are changed in the same way.

Invariant: banned and safe chats are changed at about the same rate, so that to be cut off is no sign of either side:
the chats of a side that can be changed are changed more often, up to twice, for those that cannot.
"""

import random
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.evidence.pieces import PieceRule, pieces_of
from model.windowing import Windowing, normalise, render_piece
from schemas import Role, Turn
from training_pipeline.chats.labelled_chats import LabelledChats

_RULE: Final = PieceRule(max_views=0)
"""Of all bundles so far; readings of disguised text are left to `evasion`."""
_LONGEST_REQUEST: Final = 300
"""Characters: a piece has 400, and some of them must be the text around."""
_MOST_BANNED_WEIGHT: Final = 0.2
_MOST_OFTEN: Final = 2.0
_PASTE_CHARACTERS: Final = (200, 900)


def piece_chances(chats: LabelledChats, ratio: float) -> NDArray[np.float64]:
    """Return how likely each chat gives a piece, float64 [n_chats], 0..1.

    Args:
        chats: The training chats.
        ratio: Share of each side that is to be changed, as far as it can be.
    """
    columns = chats.banned_columns
    is_banned = columns[chats.labels]
    is_torn = ~is_banned & (chats.soft_labels[:, columns].sum(axis=1) > _MOST_BANNED_WEIGHT)
    is_short = np.array([request_of(turns) is not None for turns in chats.conversations])
    can = np.where(is_banned, is_short, ~is_torn)
    chances = np.zeros(len(chats))
    for side in (is_banned, ~is_banned):
        n_can = int((side & can).sum())
        if n_can:
            chances[side & can] = min(ratio * side.sum() / n_can, _MOST_OFTEN * ratio, 1.0)
    return chances


def request_of(turns: Sequence[Turn]) -> str | None:
    """Return the chat's one user message, normalised; None where there are several or it is long."""
    messages = [turn.text for turn in turns if turn.role is Role.USER]
    if len(messages) != 1 or len(messages[0]) > _LONGEST_REQUEST:
        return None
    request = normalise(messages[0])
    return request if 0 < len(request) <= _LONGEST_REQUEST else None


def piece_row(turns: Sequence[Turn], pastes: Sequence[str], windowing: Windowing, rng: random.Random) -> str | None:
    """Return the row of a piece of a chat that may give one (`piece_chances`), as serving renders it.

    Args:
        turns: The chat, oldest first.
        pastes: Safe texts, none of them empty.
        windowing: What the main window shows.
        rng: Chooses.

    Returns:
        None where the chat has no piece but itself, or none that holds its request whole.
    """
    request = request_of(turns)
    if request is None:
        found = pieces_of(turns, _RULE, windowing).texts
    else:
        if not pastes:
            return None
        message = " ".join((_paste(pastes, rng), request, _paste(pastes, rng)))
        # No pieces: the message is a single one.
        cut = pieces_of([Turn(Role.USER, message)], _RULE, windowing).texts or [message]
        found = [text for text in cut if request in text]
    return render_piece(rng.choice(found)) if found else None


def _paste(pastes: Sequence[str], rng: random.Random) -> str:
    """Return the beginning of a safe text, as one paragraph."""
    return " ".join(rng.choice(pastes)[: rng.randint(*_PASTE_CHARACTERS)].split())
