"""Mixtures: chats with unrelated safe text in their last user message, as people paste it, or hide something in it.

They fit what a piece of a chat counts; they never stand in calibration.json, since no traffic looks like them.

Invariant: the same chats and seed give the same mixtures; the label is the chat's own.
"""

import random
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from schemas import Role, Turn
from training_pipeline.chats.labelled_chats import LabelledChats
from training_pipeline.chats.last_message import with_last_message

CODE_BLOCK: Final = "```python\nprint('hello')\n```"

_SHORTEST_PASTE: Final = 200
_LONGEST_PASTE: Final = 1_200
_FEWEST_PASTES: Final = 20
_PARAGRAPH: Final = "\n\n"

Paste = Callable[[], str]


def _code_after(text: str, _paste: Paste) -> str:
    return _PARAGRAPH.join((text, CODE_BLOCK))


def _paste_after(text: str, paste: Paste) -> str:
    return _PARAGRAPH.join((text, paste()))


def _paste_before(text: str, paste: Paste) -> str:
    return _PARAGRAPH.join((paste(), text))


def _paste_around(text: str, paste: Paste) -> str:
    return _PARAGRAPH.join((paste(), text, paste()))


def _long_around(text: str, paste: Paste) -> str:
    return _PARAGRAPH.join((*(paste() for _ in range(4)), text, *(paste() for _ in range(4))))


MIXTURES: Final[dict[str, Callable[[str, Paste], str]]] = {
    "code_after": _code_after,
    "paste_after": _paste_after,
    "paste_before": _paste_before,
    "paste_around": _paste_around,
    "long_around": _long_around,
}


def mixed(chats: LabelledChats, kind: str, pastes: Sequence[str], *, seed: int) -> list[list[Turn]]:
    """Return the conversations with safe text added to their last user message; as they are where there is none.

    Args:
        chats: The chats.
        kind: One of `MIXTURES`.
        pastes: Unrelated safe texts, at least one.
        seed: Chooses among them.
    """
    rng = random.Random(seed)  # noqa: S311  chooses texts, no secret
    mix = MIXTURES[kind]

    def change(text: str) -> str:
        return mix(text, lambda: rng.choice(pastes))

    return [with_last_message(turns, change) for turns in chats.conversations]


def safe_pastes(chats: LabelledChats, is_safe: NDArray[np.bool_]) -> list[str]:
    """Return user messages of safe chats that are long enough to be a paste, cut to a paste's length.

    Where none is that long, the longest ones; mixtures of a smoke run need not be lifelike.

    Args:
        chats: The chats.
        is_safe: bool [n_chats].

    Raises:
        ValueError: there are none.
    """
    messages = [
        turn.text[:_LONGEST_PASTE]
        for position in np.flatnonzero(is_safe)
        for turn in chats.conversations[position]
        if turn.role is Role.USER
    ]
    if not messages:
        raise ValueError(
            "no held-out chat is safe and has a user message; expected some, to be pasted beside others; name more "
            "chats, or export with --no-pieces"
        )
    long = [text for text in messages if len(text) >= _SHORTEST_PASTE]
    return long or sorted(messages, key=len)[-_FEWEST_PASTES:]
