"""The grid: which persona, topic, tone, length, language and speakers each conversation has.

Every axis is a deck of cards that is shuffled anew whenever it is used up, so that among any first n conversations of
a category each value of an axis comes as often as any other, give or take one.

Invariant: a cell depends on the brief, the seed, the category and its number alone, never on what was asked before.
"""

import random
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeVar

from schemas import Role
from training_pipeline.synthesise.brief import Brief, Labelled, Length, Speaker

Card = TypeVar("Card")


class Cell(NamedTuple):
    """One conversation to be written."""

    category: str
    number: int
    """From 0, within its category."""
    persona: str
    topic: str
    tone: str
    length: Length
    language: str
    speakers: tuple[Speaker, ...]
    """The first writes the message that counts."""

    @property
    def position(self) -> str:
        """Name for reports."""
        return f"{self.category}:{self.number}"

    def provenance(self) -> dict[str, Any]:
        """Return the cell as rows hold it."""
        return {
            "number": self.number,
            "persona": self.persona,
            "topic": self.topic,
            "tone": self.tone,
            "length": self.length.name,
            "language": self.language,
        }


class Grid:
    """Cells by category and number.

    Args:
        brief: The lists to draw from.
        seed: The same seed gives the same cells.
    """

    def __init__(self, brief: Brief, seed: int) -> None:
        self._brief = brief
        self._seed = seed

    def cell(self, category: str, number: int) -> Cell:
        """Return one cell."""
        brief, own = self._brief, self._brief.of_category(category)
        return Cell(
            category=category,
            number=number,
            persona=self._draw("persona", own.personas or brief.personas, category, number),
            topic=self._draw("topic", own.topics or brief.topics, category, number),
            tone=self._draw("tone", own.tones or brief.tones, category, number),
            length=self._draw("length", brief.lengths, category, number),
            language=self._draw("language", brief.languages, category, number),
            speakers=self._speakers(category, number),
        )

    def _draw(self, axis: str, cards: Sequence[Card], category: str, number: int) -> Card:
        deck, place = divmod(number, len(cards))
        order = list(range(len(cards)))
        self._random(axis, category, deck).shuffle(order)
        return cards[order[place]]

    def _speakers(self, category: str, number: int) -> tuple[Speaker, ...]:
        rng = self._random("speakers", category, number)
        drawn = list(self._brief.speakers)
        rng.shuffle(drawn)
        # Who writes the message that counts has the role user, but where the last message may be anyone's.
        if self._brief.labelled is not Labelled.LAST:
            drawn.sort(key=lambda speaker: speaker.role is not Role.USER)
        kept = drawn[: rng.randint(*self._brief.n_speakers)]
        if not any(speaker.role is Role.USER for speaker in kept):
            kept[-1] = next(speaker for speaker in drawn if speaker.role is Role.USER)
        return tuple(kept)

    def _random(self, axis: str, category: str, number: int) -> random.Random:
        return random.Random(f"{self._seed}:{category}:{axis}:{number}")  # noqa: S311  reproducible, and no secret
