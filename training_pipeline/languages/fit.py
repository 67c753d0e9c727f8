"""Fit the table that tells languages in Latin letters apart: one linear layer on hashed byte n-grams.

English is learned from chats; so are the others as far as there are chats, and from rows of their frequent words
(`language_words`). Texts are also learned in short cuts, since most chats are short.

Invariant: the same chats and seed give the same table.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from model.evidence.language import LanguageDetector, LanguageRule, text_buckets
from model.evidence.prose import users_text
from schemas import CodecLimits, RecordRejected, decode_conversation
from training_pipeline.languages.words import FREQUENT_WORDS

ENGLISH: Final = "en"
CODES: Final = (ENGLISH, *FREQUENT_WORDS)

_HELD_OUT_EVERY: Final = 5
_FOREIGN_CUTS: Final = 4


@dataclass(frozen=True)
class LanguageOptions:
    """What decides the table besides the chats."""

    n_buckets: int = 4096
    n_english: int = 8_000
    """Chats, at most."""
    n_word_rows: int = 400
    """Rows of frequent words per language."""
    inverse_regularisation: float = 10.0
    false_alarms: float = 0.001
    """Share of held-out English texts, whole and cut, that may be called something else."""
    seed: int = 1


def fit_languages(paths: Sequence[Path], options: LanguageOptions) -> tuple[LanguageDetector, dict[str, Any]]:
    """Fit a detector on chats with a field `lang`, and return it with its figures on held-out chats.

    Args:
        paths: JSON-lines files of ChatEvents with `lang`, an ISO 639-1 code.
        options: Everything else.

    Raises:
        ValueError: no chat is English, or all are.
    """
    rng = random.Random(options.seed)  # noqa: S311  chooses texts, no secret
    texts = _texts(paths, options, rng)
    training, held_out = _rows(texts, options, rng)
    labels = np.array([CODES.index(code) for code, _ in training])
    if len(set(labels.tolist())) < 2 or not (labels == 0).any():  # noqa: PLR2004
        raise ValueError(f"{', '.join(map(str, paths))}: no chat has the lang {ENGLISH!r}; expected English and others")
    model = LogisticRegression(C=options.inverse_regularisation, max_iter=60, class_weight=None)
    model.fit(_matrix([text for _, text in training], options.n_buckets), labels)
    table = np.zeros((options.n_buckets, len(CODES)), dtype=np.float16)
    bias = np.full(len(CODES), -20.0, dtype=np.float32)
    table[:, model.classes_] = model.coef_.T.astype(np.float16)
    bias[model.classes_] = model.intercept_.astype(np.float32)
    rule = LanguageRule(calibrated=[ENGLISH], codes=list(CODES), least_probability=1.0)
    detector = LanguageDetector(table.astype(np.float32), bias, rule)
    foreign = np.array([1 - detector.probabilities(text)[0] for code, text in held_out if code == ENGLISH])
    least = float(np.round(max(0.5, np.quantile(foreign, 1 - options.false_alarms, method="higher")), 3))
    detector = LanguageDetector(
        table.astype(np.float32), bias, rule.model_copy(update={"least_probability": min(1.0, least)})
    )
    return detector, _figures(detector, held_out)


def _texts(paths: Sequence[Path], options: LanguageOptions, rng: random.Random) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {code: [] for code in CODES}
    for code, text in _read(paths):
        if code in found:
            found[code].append(text)
    rng.shuffle(found[ENGLISH])
    found[ENGLISH] = found[ENGLISH][: options.n_english]
    return found


def _read(paths: Sequence[Path]) -> Iterator[tuple[str, str]]:
    for path in paths:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    _, turns = decode_conversation(line.rstrip(b"\r\n"), CodecLimits())
                    code = orjson.loads(line)["lang"]
                except RecordRejected:
                    continue
                except KeyError:
                    raise ValueError(f"{path}:{number}: no field lang; expected an ISO 639-1 code") from None
                if text := users_text(turns).strip():
                    yield code, text


def _rows(
    texts: Mapping[str, list[str]], options: LanguageOptions, rng: random.Random
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return (code, text) to train on and held out: whole texts, a cut of each, and rows of frequent words."""
    training: list[tuple[str, str]] = []
    held_out: list[tuple[str, str]] = []
    for code, of_code in texts.items():
        for position, text in enumerate(of_code):
            part = held_out if position % _HELD_OUT_EVERY == 0 else training
            n_cuts = 1 if code == ENGLISH or part is held_out else _FOREIGN_CUTS
            part += [(code, text), *((code, _cut(text, rng)) for _ in range(n_cuts))]
        words = FREQUENT_WORDS.get(code, "").split()
        if words:
            training += [(code, " ".join(rng.choices(words, k=rng.randint(6, 40)))) for _ in range(options.n_word_rows)]
    return training, held_out


def _cut(text: str, rng: random.Random) -> str:
    length = rng.randint(25, 120)
    start = rng.randrange(max(1, len(text) - length))
    return text[start : start + length]


def _matrix(texts: Sequence[str], n_buckets: int) -> sparse.csr_matrix:
    """Return what `LanguageDetector.probabilities` sums: counts over the root of their number."""
    rows, columns, values = [], [], []
    for row, text in enumerate(texts):
        found, counts = np.unique(text_buckets(text, n_buckets), return_counts=True)
        rows.append(np.full(len(found), row))
        columns.append(found)
        values.append(counts / max(1.0, float(np.sqrt(counts.sum()))))
    shape = (len(texts), n_buckets)
    entries: NDArray[np.float64] = np.concatenate(values)
    return sparse.csr_matrix((entries, (np.concatenate(rows), np.concatenate(columns))), shape=shape)


def _figures(detector: LanguageDetector, held_out: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return, by language, held-out texts and the shares that are named right and that are called uncalibrated."""
    figures: dict[str, Any] = {}
    calibrated = detector.rule.codes.index(ENGLISH)
    for code in CODES:
        own = [detector.probabilities(text) for other, text in held_out if other == code]
        if own:
            named = np.stack(own)
            far = 1 - named[:, calibrated] >= detector.rule.least_probability
            foreign = far & (named.argmax(axis=1) != calibrated)
            figures[code] = {
                "n_texts": len(own),
                "named_right": round(float((named.argmax(axis=1) == CODES.index(code)).mean()), 4),
                "uncalibrated": round(float(foreign.mean()), 4),
            }
    return figures
