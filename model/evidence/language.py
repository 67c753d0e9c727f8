"""Which language a chat's user writes, in microseconds: by script, and by byte n-grams where the letters are Latin.

A bundle's promises were calibrated on chats of some languages; of the others they say nothing. What is too short or
cannot be told counts as calibrated, since a greeting must not go to a person.

Invariant: the answer depends on the text and the bundle's table alone.
Source: hashed n-grams into one linear layer, as fastText's language identification (Joulin, Grave, Bojanowski, Mikolov,
Bag of Tricks for Efficient Text Classification, 2017).
"""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from model.evidence.prose import users_lines, users_text
from schemas import Turn

_FEWEST_LETTERS: Final = 20
_FEWEST_LETTERS_OF_A_LINE: Final = 60
_SURE_OF_A_LINE: Final = 0.9
"""A line is less text than a message, and one chat has many: of 12,639 English chats .35 % have a line that another
language is named for, and nearly all of these are right."""
_LONGEST_GRAM: Final = 4
_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
_HIGH_BITS: Final = np.uint64(40)

_LETTER_KINDS: Final = (
    ("ja", re.compile("[\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f]"), 3.0),
    ("zh", re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"), 3.0),
    ("ko", re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7af]"), 3.0),
    ("ru", re.compile("[\u0400-\u052f]"), 1.0),
    ("ar", re.compile("[\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc]"), 1.0),
    ("hi", re.compile("[\u0900-\u097f]"), 1.0),
    ("el", re.compile("[\u0370-\u03ff\u1f00-\u1fff]"), 1.0),
    ("he", re.compile("[\u0590-\u05ff]"), 1.0),
    ("th", re.compile("[\u0e00-\u0e7f]"), 1.0),
    (
        "other",
        re.compile(
            "[\u0530-\u058f\u0700-\u074f\u0780-\u08ff\u0980-\u0dff\u0e80-\u10ff\u1200-\u1cff\u2c00-\u2dff\ua000-\uabff]"
        ),
        1.0,
    ),
)
"""Language that a script most often writes, its letters, and how many Latin ones each of them is worth."""
_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]+")
_ENGLISH: Final = "en"
ENGLISH_WORDS: Final = frozenset(
    (
        *("the", "and", "of", "to", "is", "that", "it", "you", "for", "with", "this", "are", "what", "how", "my"),
        *("your", "can", "have", "not", "would", "about", "which", "when", "there"),
    )
)
"""Of the commonest ones those that no other language in Latin letters has often."""
_FEWEST_ENGLISH_WORDS: Final = 4
_ENGLISH_SHARE: Final = 0.15
"""Of words: from here on a text is English, and the table is not asked."""
_SCRIPT_SHARE: Final = 0.5
_KANA_SHARE: Final = 0.05
"""Chinese characters beside this share of kana are Japanese."""

_FOLDED: Final[NDArray[np.uint8]] = np.array(
    [byte if not chr(byte).isascii() or chr(byte).isalpha() else ord(" ") for byte in range(256)], dtype=np.uint8
)
"""What is no letter becomes a space; UTF-8's bytes of other letters stay."""


class LanguageRule(BaseModel):
    """On which languages a bundle was calibrated, and how others are told from them; part of its manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calibrated: list[str] = Field(min_length=1, description="ISO 639-1 codes.")
    codes: list[str] = Field(min_length=2, description="Language of each column of the table.")
    least_probability: float = Field(
        ge=0, le=1, description="A language that is not calibrated is named from this probability on."
    )


@dataclass(frozen=True)
class LanguageDetector:
    """A fitted table and its rule."""

    table: NDArray[np.float32]
    """float32 [n_buckets, n_codes]."""
    bias: NDArray[np.float32]
    """float32 [n_codes]."""
    rule: LanguageRule

    def language(self, turns: Sequence[Turn]) -> str | None:
        """Return the code of the language that the user writes; None where it cannot be told.

        The newest messages decide. Where they are in a calibrated language, a single line of the user's in another one
        decides in their place: nothing was promised of it, wherever it stands.

        Args:
            turns: Turns with visible text, oldest first.
        """
        newest = users_text(turns)
        found = self._language_of(newest, _FEWEST_LETTERS, self.rule.least_probability)
        if not self.is_calibrated(found):
            return found
        for line in users_lines(turns, _FEWEST_LETTERS_OF_A_LINE):
            if line == newest:
                continue
            other = self._language_of(line, _FEWEST_LETTERS_OF_A_LINE, _SURE_OF_A_LINE)
            if not self.is_calibrated(other):
                return other
        return found

    def _language_of(self, text: str, fewest_letters: int, least_probability: float) -> str | None:
        n_latin = sum(map(len, _LATIN.findall(text)))
        script = None if text.isascii() else _language_of_script(text, n_latin)
        if script is not None or n_latin < fewest_letters:
            return script
        if _ENGLISH in self.rule.codes and _is_plainly_english(text):
            return _ENGLISH
        return self._by_table(text, least_probability)

    def _by_table(self, text: str, least_probability: float) -> str | None:
        probabilities = self.probabilities(text)
        calibrated = [self.rule.codes.index(code) for code in self.rule.calibrated if code in self.rule.codes]
        best = int(probabilities.argmax())
        is_foreign = best not in calibrated
        if is_foreign and 1 - probabilities[calibrated].sum() < least_probability:
            return None
        return self.rule.codes[best]

    def is_calibrated(self, language: str | None) -> bool:
        """Say whether the bundle's promises speak of this language."""
        return language is None or language in self.rule.calibrated

    def probabilities(self, text: str) -> NDArray[np.float32]:
        """Return the probability of each code, float32 [n_codes]."""
        buckets = text_buckets(text, len(self.table))
        scores = self.table[buckets].sum(axis=0) / np.float32(max(1.0, np.sqrt(len(buckets)))) + self.bias
        exponentials = np.exp(scores - scores.max())
        result: NDArray[np.float32] = exponentials / exponentials.sum()
        return result

    def to_bytes(self) -> bytes:
        """Return the contents of languages.npz; the same table gives the same bytes."""
        buffer = BytesIO()
        arrays: dict[str, Any] = {"table": self.table.astype(np.float16), "bias": self.bias}
        np.savez(buffer, **arrays)
        return buffer.getvalue()


def _language_of_script(text: str, n_latin: int) -> str | None:
    """Return the language of a script that most of a text is written in; None for Latin letters."""
    by_script = {code: weight * len(kind.findall(text)) for code, kind, weight in _LETTER_KINDS}
    n_other = sum(by_script.values())
    if n_other < max(_FEWEST_LETTERS, _SCRIPT_SHARE * (n_other + n_latin)):
        return None
    if by_script["ja"] >= _KANA_SHARE * n_other:
        return "ja"
    return max(by_script, key=lambda code: by_script[code])


def _is_plainly_english(text: str) -> bool:
    words = text.lower().split()
    hits = [word for word in words if word in ENGLISH_WORDS]
    return len(set(hits)) >= _FEWEST_ENGLISH_WORDS and len(hits) >= _ENGLISH_SHARE * len(words)


def text_buckets(text: str, n_buckets: int) -> NDArray[np.int64]:
    """Return the buckets of a text's byte n-grams, int64 [n_grams]; words begin and end with a space.

    Args:
        text: Any text.
        n_buckets: A power of two, at most 2**24.
    """
    folded = _FOLDED[np.frombuffer(f" {text.lower()} ".encode("utf-8", "replace"), dtype=np.uint8)]
    is_space = folded == ord(" ")
    tokens = folded[~(is_space & np.roll(is_space, 1))].astype(np.uint64) + np.uint64(1)
    buckets = []
    hashed = tokens.copy()
    for n in range(2, _LONGEST_GRAM + 1):
        # Wraps round on purpose: arithmetic modulo 2**64.
        hashed = hashed[:-1] * _MULTIPLIER + tokens[n - 1 :]
        buckets.append(((hashed * _MULTIPLIER) >> _HIGH_BITS) & np.uint64(n_buckets - 1))
    found: NDArray[np.int64] = np.concatenate(buckets).astype(np.int64)
    return found


def read_detector(content: bytes, rule: LanguageRule) -> LanguageDetector:
    """Read languages.npz.

    Raises:
        ValueError: it does not hold these arrays, or not as many columns as the rule has codes, or NaN or infinity.
    """
    try:
        with np.load(BytesIO(content), allow_pickle=False) as archive:
            table, bias = archive["table"], archive["bias"]
    except (zipfile.BadZipFile, EOFError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"is no archive of a table and a bias ({type(error).__name__}: {error})") from error
    n_codes = len(rule.codes)
    if len(table) & (len(table) - 1):
        raise ValueError(f"has {len(table)} buckets; expected a power of two")
    if table.dtype != np.float16 or table.shape[1:] != (n_codes,) or bias.shape != (n_codes,):
        raise ValueError(
            f"holds {table.dtype} {list(table.shape)} and {list(bias.shape)}; expected float16 [n_buckets, {n_codes}] "
            f"and [{n_codes}], a column for each of {rule.codes}"
        )
    if not (np.isfinite(table).all() and np.isfinite(bias).all()):
        raise ValueError("holds NaN or infinity; expected finite numbers")
    return LanguageDetector(table.astype(np.float32), bias.astype(np.float32), rule)
