"""What a model card says a bundle cannot do: each line only where it is true of this bundle."""

from typing import Final

from model.evidence.language import LanguageRule
from model.evidence.rule import EvidenceRule
from schemas import CHAT_13, Taxonomy

_WHOLE: Final = "- A banned passage can still be diluted within its own paragraph, or be split over several."

_WINDOW: Final = "- Only the window is read: what stands earlier, or in the middle of a long message, is not judged."

_LANGUAGES: Final = """\
- Calibrated on {languages}: a chat in another language is `review` at best under the default policy."""

_ENGLISH: Final = "- English for the most part; other languages were hardly seen."

_EVASION: Final = """\
- It can be evaded: misspelling, code words, text in images, or harmful intent spread over many turns. Compatibility
  forms and invisible characters are folded before reading; """

_LOOK_ALIKES_READ: Final = """\
look-alike letters, digits for letters, gaps and
  encodings are undone in a second reading, where they are recognised."""

_LOOK_ALIKES_LEFT: Final = "look-alike letters are not."


def language_limit(rule: LanguageRule | None) -> str:
    """Return the line about languages."""
    return _ENGLISH if rule is None else _LANGUAGES.format(languages=", ".join(rule.calibrated))


def length_limit(rule: EvidenceRule | None) -> str:
    """Return the line about what is not read of a chat, or not by itself."""
    return _WINDOW if rule is None else _WHOLE


def label_limit(taxonomy: Taxonomy) -> str:
    """Return the line about labels."""
    rare = "; rare categories (L, B, G) rest on few examples" if taxonomy == CHAT_13 else ""
    return f"- Labels follow one taxonomy, and people disagree on its borders{rare}."


def evasion_limit(rule: EvidenceRule | None) -> str:
    """Return the line about disguises."""
    is_undone = rule is not None and rule.pieces.max_views > 0
    return _EVASION + (_LOOK_ALIKES_READ if is_undone else _LOOK_ALIKES_LEFT)
