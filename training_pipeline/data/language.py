"""Tag a chat with the language its user writes, offline (lingua)."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from lingua import LanguageDetector, LanguageDetectorBuilder

from schemas import Role, Turn

UNDETERMINED: Final = "und"
"""ISO 639-2 code for a language that cannot be told: too short, code, several languages."""

_READ_CHARACTERS: Final = 600
_MIN_CONFIDENCE: Final = 0.5


class LanguageTag(NamedTuple):
    """ISO 639-1 code, or `und`, and the detector's confidence, 0..1."""

    code: str
    confidence: float


class LanguageTagger:
    """Detects the language of chats; loads the models of a language when it first needs them.

    Args:
        accurate: Use the large models: better below 100 characters, at about 1 GB of memory instead of 0.3.
    """

    def __init__(self, *, accurate: bool = False) -> None:
        builder = LanguageDetectorBuilder.from_all_languages()
        self._detector: LanguageDetector = (builder if accurate else builder.with_low_accuracy_mode()).build()

    def tag(self, turns: Sequence[Turn]) -> LanguageTag:
        """Return the language of the user's turns, or of all where the user wrote none."""
        own = [turn.text for turn in turns if turn.role is Role.USER] or [turn.text for turn in turns]
        text = " ".join(part[:_READ_CHARACTERS] for part in own)[:_READ_CHARACTERS]
        values = self._detector.compute_language_confidence_values(text)
        if not values or values[0].value < _MIN_CONFIDENCE:
            return LanguageTag(UNDETERMINED, round(values[0].value, 3) if values else 0.0)
        return LanguageTag(values[0].language.iso_code_639_1.name.lower(), round(values[0].value, 3))
