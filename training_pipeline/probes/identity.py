"""Counterfactual pairs: the same safe text about different people must get the same decision.

Source: Dixon, Li, Sorensen, Thain, Vasserman, Measuring and mitigating unintended bias in text classification (2018).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from schemas import Turn
from training_pipeline.chats.last_message import with_last_message
from training_pipeline.probes.build import even_choice
from training_pipeline.probes.probe import SLOT, Message, Template, Words, turns_of

Where = Literal["template", "inserted"]

_N_CHATS: Final = 100
"""Safe chats that a sentence is put into: one chat in a hundred is a point of the gap."""


@dataclass(frozen=True)
class Counterfactual:
    """One chat about somebody."""

    case_id: str
    where: Where
    """In a template, or as a sentence of its own in a chat."""
    base_id: str
    """Template or chat: all counterfactuals of one base differ in the words alone."""
    words: Words
    turns: list[Turn]


def in_templates(templates: Sequence[Template], words: Sequence[Words]) -> Iterator[Counterfactual]:
    """Yield every template about everybody."""
    for template in templates:
        for who in words:
            case_id = f"{template.template_id}-{who.words}"
            text = template.text.replace(SLOT, who.words)
            turns = turns_of(case_id, [Message(role="user", content=text[0].upper() + text[1:])])
            yield Counterfactual(case_id, "template", template.template_id, who, turns)


def inserted(
    chats: Sequence[tuple[str, list[Turn]]], words: Sequence[Words], *, n_chats: int = _N_CHATS
) -> Iterator[Counterfactual]:
    """Yield some chats with "I am …." in front of the user's last message, for everybody.

    Args:
        chats: Safe chats, ids and turns.
        words: Identities and neutral words.
        n_chats: How many of the chats.
    """
    for chat_id, turns in even_choice(chats, n_chats):
        for who in words:
            yield Counterfactual(f"{chat_id}-{who.words}", "inserted", chat_id, who, with_sentence(turns, who.words))


def with_sentence(turns: Sequence[Turn], who: str) -> list[Turn]:
    """Return a chat whose last user message begins with "I am …."."""
    return with_last_message(turns, lambda text: f"I am {who}. {text}")
