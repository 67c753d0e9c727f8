"""Cut what users said into pieces that are judged each for itself.

The main window shows a few hundred characters of a chat, and harmless text beside a banned passage dilutes what the
model says of both together. So a chat is also read in pieces: user messages are cut at blank lines, code fences and
quotes, and longer paragraphs at lines, sentences or spaces. Where that gives too many, neighbours are joined. Where a
text looks disguised, its other readings are pieces too (`model.evidence.disguise`).

Invariant: of the covered text every letter and digit stands in a piece, fences and the languages they name aside; the
number and the length of the pieces are bounded, whatever the input.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, groupby
from typing import Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field

from model.evidence.disguise import decoded, undisguised
from model.windowing import Windowing, normalise
from schemas import Role, Turn

_BORDER: Final = re.compile(r"(?:```|~~~)(?:[\w+#.-]{0,12}[^\S\n]*(?=\n|$))?|\n[^\S\n]*\n\s*")
"""A code fence with the language it names, or blank lines."""
_BARE_BORDER: Final = re.compile(r"```|~~~|\n[^\S\n]*\n\s*")
_LANGUAGE: Final = re.compile(r"(?:```|~~~)([\w+#.-]{1,12})[^\S\n]*(?=\n|$)")
_MOST_LANGUAGES: Final = 3
"""Fences of one message that name more of them spell out a text, word by word."""

_QUOTED: Final = re.compile(r"\s{0,8}>")
_SENTENCE_END: Final = re.compile("[.!?\u2026][\"')\\]]?\\s|[\u3002\uff01\uff1f]")

_SHORTEST_CUT: Final = 0.6
"""Share of a cut's full length from which on a line's or sentence's end is taken."""

_JOINED_SHARES: Final = (0.25, 0.5, 1.0, 2.0, 3.0)
"""Where there are too many pieces, neighbours are joined up to these shares of a piece's length, in turn."""


class PieceRule(BaseModel):
    """How a conversation is cut; part of a bundle's manifest, since its evidence was calibrated on such pieces."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_pieces: int = Field(default=112, gt=0, description="Pieces of one conversation, at most.")
    piece_characters: int = Field(default=400, ge=40, description="Longest part of a paragraph.")
    shortest_piece_characters: int = Field(default=40, ge=0, description="Paragraphs that are shorter are joined.")
    max_views: int = Field(
        default=24,
        ge=0,
        description="Other readings of what looks disguised, see `model.evidence.disguise`; 0: none is made.",
    )
    exit_margin: float = Field(
        default=0.1,
        ge=0,
        le=0.5,
        description="The first stage answers a piece alone where the probability of its exit sides is at most this, or "
        "at least 1 - this, however unsure of the category.",
    )
    transformer_pieces: int | None = Field(
        default=None,
        ge=1,
        description="Pieces of one conversation that the transformer answers, those that the first stage finds most "
        "suspicious; the first stage answers the others. Null: every piece that the first stage is not sure of.",
    )
    covered_characters: int = Field(default=20_000, gt=0, description="Of the users' text; what is older is not read.")


FEW_PIECES: Final = PieceRule(transformer_pieces=2)
"""Of new bundles: with two pieces in place of all of them the transformer of bundle 1.4.0 had 12 % fewer tokens on real
chats, and mixtures were judged as before (training_pipeline/EXPERIMENTS.md)."""


class Pieces(NamedTuple):
    """What is judged of a conversation besides its main window."""

    texts: list[str]
    """Normalised, the last user message first, no two equal; none where the main window shows all of it."""
    is_covered: bool
    """Whether every text of the users stands in a piece or in the main window."""


def pieces_of(turns: Sequence[Turn], rule: PieceRule, windowing: Windowing, *, window_is_cut: bool = False) -> Pieces:
    """Return the pieces of a conversation.

    Args:
        turns: Turns with visible text, oldest first.
        rule: How long, how many, how far.
        windowing: What the main window shows.
        window_is_cut: Whether the main window has more tokens than are read.
    """
    messages = [turn.text for turn in reversed(turns) if turn.role is Role.USER]
    if not messages:
        return Pieces([], is_covered=True)
    covered, is_covered = _covered(messages, rule.covered_characters)
    texts, all_kept = _pieces(covered, rule, rule.max_pieces)
    views, all_views_kept = _views(covered, texts, rule)
    is_covered = is_covered and all_kept and all_views_kept
    if len(messages) == 1 and len(texts) <= 1 and not window_is_cut and _is_shown(messages[0], windowing):
        texts = []
    return Pieces(texts + views, is_covered)


def _is_shown(text: str, windowing: Windowing) -> bool:
    """Say whether the main window shows all of the last user message; normalised, a character can become eighteen."""
    longest = windowing.last_user.n_characters
    return len(text) <= longest and (text.isascii() or len(normalise(text)) <= longest)


def _pieces(messages: Iterable[str], rule: PieceRule, max_pieces: int) -> tuple[list[str], bool]:
    """Return the pieces of messages, normalised, no two equal, and whether that is all of them."""
    segments = [segment for text in messages for segment in _segments(text, rule)]
    if len(segments) > max_pieces:
        segments = _fewer(segments, rule, max_pieces)
    found = list(dict.fromkeys(filter(None, map(normalise, segments[:max_pieces]))))
    # Counted again: normalised, a character can become eighteen, and each of them a token.
    ends = accumulate(map(len, found))
    texts = [text for text, end in zip(found, ends, strict=True) if end <= rule.covered_characters]
    return texts, len(segments) <= max_pieces and len(texts) == len(found)


def _views(messages: Iterable[str], pieces: Sequence[str], rule: PieceRule) -> tuple[list[str], bool]:
    """Return other readings of messages and of their pieces, and whether that is all of them."""
    if rule.max_views == 0:
        return [], True
    hidden = [view for text in messages for view in decoded(text)]
    texts, is_whole = _pieces(hidden, rule, rule.max_views) if hidden else ([], True)
    plain = [view for text in (*pieces, *texts) if (view := undisguised(text)) is not None]
    found = list(dict.fromkeys(view for view in (*plain, *texts) if view not in pieces))
    return found[: rule.max_views], is_whole and len(found) <= rule.max_views


def _covered(messages: Iterable[str], n_characters: int) -> tuple[list[str], bool]:
    """Return what is read of the messages, the newest first, and whether that is all."""
    covered: list[str] = []
    left = n_characters
    for text in messages:
        if len(text) > left:
            half = left // 2
            covered += [part for part in (text[: left - half], text[len(text) - half :]) if part]
            return covered, False
        covered.append(text)
        left -= len(text)
    return covered, True


def _segments(text: str, rule: PieceRule) -> Iterator[str]:
    """Yield the segments of one message, in reading order."""
    border = _BORDER if len(set(_LANGUAGE.findall(text))) <= _MOST_LANGUAGES else _BARE_BORDER
    paragraphs = (part for between in border.split(text) for part in _unquoted(between))
    whole = [part.strip() for part in paragraphs if _is_written(part)]
    for part in _joined(whole, rule.shortest_piece_characters):
        yield from _cut(part, rule.piece_characters)


def _is_written(text: str) -> bool:
    """Say whether a text has letters or digits, be they circled, squared or in brackets."""
    if any(map(str.isalnum, text)):
        return True
    return not text.isascii() and (any(map(str.isalnum, normalise(text))) or undisguised(text) is not None)


def _unquoted(text: str) -> Iterator[str]:
    """Yield quoted lines and the lines between them apart."""
    if ">" not in text:
        yield text
        return
    for _, lines in groupby(text.splitlines(keepends=True), key=lambda line: bool(_QUOTED.match(line))):
        yield "".join(lines)


def _cut(text: str, limit: int) -> Iterator[str]:
    """Yield parts of about equal length, at most `limit`, cut where a reader would pause."""
    while len(text) > limit:
        full = min(limit, math.ceil(len(text) / math.ceil(len(text) / limit) / _SHORTEST_CUT))
        end = _pause(text[:full])
        yield text[:end]
        text = text[end:]
    yield text


def _pause(text: str) -> int:
    """Return where to cut: after the last line, sentence or word that ends late enough, else at the end."""
    earliest = int(len(text) * _SHORTEST_CUT)
    line = text.rfind("\n", earliest)
    if line >= 0:
        return line + 1
    sentences = [match.end() for match in _SENTENCE_END.finditer(text, earliest)]
    if sentences:
        return sentences[-1]
    space = text.rfind(" ", earliest)
    return space + 1 if space >= 0 else len(text)


def _joined(parts: Sequence[str], limit: int) -> list[str]:
    """Join neighbours as long as they are together at most `limit` characters."""
    joined: list[str] = []
    for part in parts:
        if joined and len(joined[-1]) + 1 + len(part) <= limit:
            joined[-1] = f"{joined[-1]}\n{part}"
        else:
            joined.append(part)
    return joined


def _fewer(segments: list[str], rule: PieceRule, max_pieces: int) -> list[str]:
    """Join neighbours, as little as makes the number fit."""
    joined = segments
    for share in _JOINED_SHARES:
        joined = _joined(segments, int(share * rule.piece_characters))
        if len(joined) <= max_pieces:
            break
    return joined
