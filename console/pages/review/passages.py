"""A text as the page shows it, and which of its passages are severe.

Each of the users' newest messages is judged for itself, after all that the API asks. Where that fails or is of another
taxonomy, every user message counts as severe: a passage too many is collapsed, never one too few.
"""

from collections.abc import Sequence
from typing import Any, Final

from console.errors import Problem
from console.judging.request import Answer
from console.review.item import Item
from console.service import Service
from model import Classification
from schemas import Role, Turn

SEVERE_FROM: Final = 0.5
"""Evidence of all banned categories from which a passage is collapsed."""
_MOST_JUDGED: Final = 24
_WITHIN_S: Final = 2.0


def shown_turns(turns: Sequence[Turn], labels: Sequence[str | None]) -> list[dict[str, Any]]:
    """Return turns, JSON-ready.

    Args:
        turns: Oldest first.
        labels: Of each turn what its veil says: the class; "" says nothing; None: not severe.
    """
    return [
        # What no UTF-8 can hold is shown as a question mark.
        {"role": turn.role.value, "text": turn.text.encode("utf-8", "replace").decode(), "severe": label}
        for turn, label in zip(turns, labels, strict=True)
    ]


async def severe_passages(service: Service, item: Item, turns: Sequence[Turn]) -> list[str | None]:
    """Return of each turn the name of the banned class that it is most likely of; None where it is not severe.

    Of a blind item no class is named, and all that users wrote counts as severe: either would tell what the model says.
    """
    if item.is_blind:
        return ["" if turn.role is Role.USER else None for turn in turns]
    users = [i for i, turn in enumerate(turns) if turn.role is Role.USER]
    judged = users[-_MOST_JUDGED:]
    labels: list[str | None] = [None] * len(turns)
    for i in users[:-_MOST_JUDGED]:
        labels[i] = ""
    if not judged:
        return labels
    answers: Sequence[Answer | None]
    try:
        answers = await service.judge.judge([[turns[i]] for i in judged], within_s=_WITHIN_S, is_background=True)
    except Problem:
        answers = [None] * len(judged)
    names = service.bundle.taxonomy.names
    banned = service.writer.banned
    for i, answer in zip(judged, answers, strict=True):
        if not isinstance(answer, Classification):
            labels[i] = names.get(item.category, "")
            continue
        severe = {code: value for code, value in answer.evidence.items() if code in banned}
        if sum(severe.values()) >= SEVERE_FROM:
            labels[i] = names[max(severe, key=severe.__getitem__)]
    return labels
