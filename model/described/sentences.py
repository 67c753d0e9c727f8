"""Split a class's description into what the encoder reads at once: its sentences."""

import re
from typing import Final

SENTENCE_CHARACTERS: Final = 600
"""A longer sentence is cut at a space near here: the encoder reads a few hundred tokens at a time."""

LEAST_WORDS: Final = 4
"""A sentence of fewer words goes with the one before it: it may be the end of an abbreviation."""

_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[^\W_a-z]|[\"'(\u201c\u2018])|(?<=[\u3002\uff01\uff1f])|\n{2,}")


def sentences(description: str) -> list[str]:
    """Return the sentences of a description with some visible character, each of at most `SENTENCE_CHARACTERS`.

    A description of one sentence comes back as it is, but for its white space.
    """
    joined: list[str] = []
    for part in _SENTENCE_END.split(description.strip()):
        sentence = " ".join(part.split())
        if joined and min(len(sentence.split()), len(joined[-1].split())) < LEAST_WORDS:
            joined[-1] = f"{joined[-1]} {sentence}".rstrip()
        elif sentence:
            joined.append(sentence)
    return [piece for sentence in joined for piece in _pieces(sentence)]


def _pieces(sentence: str) -> list[str]:
    pieces = []
    while len(sentence) > SENTENCE_CHARACTERS:
        cut = sentence.rfind(" ", 1, SENTENCE_CHARACTERS)
        cut = cut if cut > 0 else SENTENCE_CHARACTERS
        pieces.append(sentence[:cut].strip())
        sentence = sentence[cut:].strip()
    return [*pieces, sentence] if sentence else pieces
