"""Cut a conversation to the window that the classifier reads, and render it as one role-marked text.

Serving and training both call `render`; there is no second implementation. Characters are cut before tokenising,
because tokenising costs time in proportion to length (0.3 to 0.7 s for 1 MB) and the classifier reads a few hundred
tokens anyway.

Roles that today's bundles were not trained on are rendered as one that they know: `developer` as `system`, `tool` and
`function` as `assistant`. Results of tools are context: they take the places in the window that other messages leave.

Invariants: the result has at most `Windowing.max_rendered_characters` characters, whatever the input. A conversation
renders as it does without its tools' results, but for the lines that these add.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from schemas import RESULTS_OF_TOOLS, Role, Turn, ends_of

_MARKERS: Final = {role: role.value for role in Role} | {
    Role.DEVELOPER: Role.SYSTEM.value,
    Role.TOOL: Role.ASSISTANT.value,
    Role.FUNCTION: Role.ASSISTANT.value,
}

_NORMALISED_WHOLE_CHARACTERS: Final = 2_000
"""A longer text is normalised from its two ends, as far as it is read: a character may become 18."""

_NORMALISED_PIECE: Final = re.compile(r"\S{1,256}|\s+")
"""What is normalised at once: putting combining marks in order takes quadratic time in the length of their run, half a
minute for 100,000 of them."""

_GAP: Final = " … "

_CONTENT_LETTERS: Final = 25
"""A user message with fewer letters and digits asks for more of the same: "continue", "go on", "yes please"."""
_WIDE_LETTER: Final = 4
_FIRST_WIDE: Final = "\u2e80"
"""From here on a letter is a word, about."""
_ENDS_READ: Final = 200

_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u3164\uffa0\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800"
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\ud800-\udfff]"
)
"""Format and default-ignorable characters: invisible to a reader, used to split words that a filter looks for.

Lone surrogates too: the codec refuses them, and a tokenizer would answer one with a TypeError for the whole batch.
"""


class Span(BaseModel):
    """How much of one message is kept: characters from its head and from its tail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    head: int = Field(gt=0)
    tail: int = Field(ge=0)

    @property
    def n_characters(self) -> int:
        """A message of at most this length is shown in full."""
        return self.head + self.tail


class Windowing(BaseModel):
    """The windowing rules of a bundle; part of its manifest, since a model only knows the windows it was trained on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_messages: int = Field(default=6, gt=0, description="Messages kept, from the end of the conversation.")
    last_user: Span = Field(default=Span(head=400, tail=200), description="The latest user message.")
    user: Span = Field(default=Span(head=160, tail=80), description="Earlier user messages.")
    other: Span = Field(default=Span(head=100, tail=60), description="Assistant and system messages.")
    max_tokens: int = Field(default=192, ge=8, le=512, description="Tokens per row, special tokens included.")
    keeps_request: bool = Field(
        default=False,
        description="From format 2 on: whether the last user message with content and the head of the first one stay "
        'in the window, however many times the user says "continue".',
    )
    marks_roles: bool = Field(
        default=True,
        description="From format 2 on: whether each line begins with its role. An encoder that never saw such marks "
        "reads the bare texts.",
    )

    @property
    def max_rendered_characters(self) -> int:
        """Upper bound on the length of a rendered conversation."""
        longest = max(span.n_characters for span in (self.last_user, self.user, self.other))
        marker = max(map(len, _MARKERS.values())) + len(": ") + len("\n")
        n_messages = self.max_messages + (2 if self.keeps_request else 0)
        return n_messages * (longest + len(_GAP) + marker)


def render(turns: Sequence[Turn], windowing: Windowing) -> str:
    """Render the last turns of a conversation, oldest first, one line each, role-marked where the bundle says so.

    Args:
        turns: Turns with visible text, oldest first.
        windowing: The rules of the bundle.

    Returns:
        The text to tokenise; empty only for an empty list.
    """
    lines = []
    for i, span in shown_spans(turns, windowing).items():
        role, text = turns[i]
        line = _head_and_tail(text, span)
        lines.append(f"{_MARKERS[role]}: {line}" if windowing.marks_roles else line)
    return "\n".join(lines)


def shown_spans(turns: Sequence[Turn], windowing: Windowing) -> dict[int, Span]:
    """Return how much the window shows of each turn that stands in it, by position, oldest first.

    Args:
        turns: Turns with visible text, oldest first.
        windowing: The rules of the bundle.
    """
    kept = _window(turns, windowing.max_messages)
    shown = {i: windowing.user if turns[i].role is Role.USER else windowing.other for i in kept}
    users = [i for i, turn in enumerate(turns) if turn.role is Role.USER]
    if users and users[-1] in shown:
        shown[users[-1]] = windowing.last_user
    if users and windowing.keeps_request:
        shown.setdefault(users[0], Span(head=windowing.user.head, tail=0))
        shown[_request(turns, users)] = windowing.last_user
    return dict(sorted(shown.items()))


def _window(turns: Sequence[Turn], n_messages: int) -> list[int]:
    """Return the positions of the last turns, and of the results of tools those last ones for which there is room."""
    results = [i for i, turn in enumerate(turns) if turn.role in RESULTS_OF_TOOLS]
    others = sorted(set(range(len(turns))) - set(results))[-n_messages:]
    n_free = min(n_messages - len(others), len(results))
    return sorted(others + results[len(results) - n_free :])


def _request(turns: Sequence[Turn], users: Sequence[int]) -> int:
    """Return the position of the last user message with content; of the last one where none has any."""
    for i in reversed(users):
        text = turns[i].text[:_ENDS_READ]
        n_letters = sum(_WIDE_LETTER if letter > _FIRST_WIDE else 1 for letter in text if letter.isalnum())
        if n_letters >= _CONTENT_LETTERS:
            return i
    return users[-1]


def render_piece(text: str) -> str:
    """Render a piece of a user message, normalised, as a message that stands alone."""
    return f"{_MARKERS[Role.USER]}: {text}"


def normalise(text: str) -> str:
    """Fold compatibility forms, drop invisible characters and fold white space, in linear time."""
    text = ends_of(text)
    if not text.isascii():
        text = "".join(unicodedata.normalize("NFKC", piece) for piece in _pieces(text))
    return " ".join(text.split())


def _head_and_tail(text: str, span: Span) -> str:
    n_read = span.n_characters
    is_long = len(text) > _NORMALISED_WHOLE_CHARACTERS and not text.isascii()
    text = _normalised_ends(text, n_read + 1) if is_long else normalise(text)
    if len(text) <= n_read:
        return text
    tail = text[-span.tail :] if span.tail else ""
    return f"{text[: span.head]}{_GAP}{tail}"


def _normalised_ends(text: str, n_characters: int) -> str:
    """Normalise a text from both ends until each has so many characters; what is between them may be missing.

    The pieces are those of the whole text, so that each end is what it is where all of it is normalised.
    """
    pieces = _pieces(ends_of(text))
    head = _normalised(pieces, n_characters)
    tail = _normalised(pieces[: len(head) - 1 : -1], n_characters) if len(head) < len(pieces) else []
    return " ".join("".join([*head, *reversed(tail)]).split())


def _normalised(pieces: Iterable[str], n_characters: int) -> list[str]:
    """Normalise one piece after the other until they have so many characters besides white space."""
    read: list[str] = []
    n_read = 0
    for piece in pieces:
        if n_read >= n_characters:
            break
        read.append(unicodedata.normalize("NFKC", piece))
        n_read += sum(map(len, read[-1].split()))
    return read


def _pieces(text: str) -> list[str]:
    return _NORMALISED_PIECE.findall(_INVISIBLE.sub("", text))
