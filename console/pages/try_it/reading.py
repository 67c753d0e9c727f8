"""What a bundle reads of a conversation, told for people."""

from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, Field

from model import Bundle
from model.evidence.pieces import PieceRule, pieces_of
from model.tokenization import ConversationTokenizer
from model.windowing import render, shown_spans
from schemas import Role, Turn

_HEAD_CHARACTERS: Final = 80


class MessageRead(BaseModel):
    """How much of a message is read."""

    role: Role
    head: str = Field(description="Its first characters.")
    n_characters: int
    n_window: int = Field(description="Characters that the main window shows, at most.")
    n_pieces: int = Field(description="Characters that stand in pieces.")

    @property
    def n_read(self) -> int:
        """Characters that are read in one way or the other."""
        return min(self.n_characters, max(self.n_window, self.n_pieces))


class ReadingOf(BaseModel):
    """What is read of a conversation."""

    window: str = Field(description="The main window, as the model gets it.")
    n_window_tokens: int
    max_tokens: int = Field(description="Of a row: what the window has more, its oldest tokens, stands in pieces only.")
    pieces: list[str]
    messages: list[MessageRead]
    n_not_read: int = Field(description="Characters of all messages that nothing shows to the model.")


def reading_of(
    turns: Sequence[Turn], bundle: Bundle, tokenizer: ConversationTokenizer, *, n_left_out: int = 0
) -> ReadingOf:
    """Return what a bundle reads of a conversation.

    Args:
        turns: Turns with visible text, oldest first, at least one.
        bundle: Whose rules.
        tokenizer: The bundle's.
        n_left_out: Characters of the conversation that do not even stand in the turns.
    """
    windowing, evidence = bundle.manifest.windowing, bundle.manifest.evidence
    window = render(turns, windowing)
    (rows,) = tokenizer.encode_whole([window])
    pieces: list[str] = []
    n_pieces = dict.fromkeys(range(len(turns)), 0)
    if evidence is not None:
        pieces = pieces_of(turns, evidence.pieces, windowing, window_is_cut=len(rows) > 1).texts
        n_pieces = _in_pieces(turns, evidence.pieces)
    spans = shown_spans(turns, windowing)
    messages = [
        MessageRead(
            role=turn.role,
            head=turn.text[:_HEAD_CHARACTERS],
            n_characters=len(turn.text),
            n_window=min(len(turn.text), spans[i].n_characters) if i in spans else 0,
            n_pieces=n_pieces[i],
        )
        for i, turn in enumerate(turns)
    ]
    return ReadingOf(
        window=window,
        n_window_tokens=sum(map(len, rows)),
        max_tokens=windowing.max_tokens,
        pieces=pieces,
        messages=messages,
        n_not_read=n_left_out + sum(message.n_characters - message.n_read for message in messages),
    )


def _in_pieces(turns: Sequence[Turn], rule: PieceRule) -> dict[int, int]:
    """Return how many characters of each turn are cut into pieces: the users' newest ones, as far as the rule goes."""
    left = rule.covered_characters
    found = {}
    for i in reversed(range(len(turns))):
        is_user = turns[i].role is Role.USER
        found[i] = min(left, len(turns[i].text)) if is_user else 0
        left -= found[i]
    return found
