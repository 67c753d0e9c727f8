"""How far the traffic has moved from the chats that the served bundle was calibrated on."""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import numpy as np

from console.store.counting import DAY_MS, HOUR_MS, totals
from console.store.first_hour import first_hour
from console.store.store import Store
from model import Bundle, DecisionRule
from model.calibration import banned_mask, policy_scores
from model.figures.drift import ALERT, LEAST_VERDICTS, LOOK, Drift, drift

CATEGORY: Final = "category"
SCORE: Final = "score"
LANGUAGE: Final = "language"
LENGTH: Final = "length"
WHATS: Final = (CATEGORY, SCORE, LANGUAGE, LENGTH)

_N_DECILES: Final = 10
"""Of scores, as they are counted."""
_UNKNOWN: Final = "unknown"
_CALIBRATED: Final = "calibrated on"
_OTHERS: Final = "others"
_FIRST_DAYS: Final = 7

Counts = Mapping[str, int]


class Watched(NamedTuple):
    """One mix, what it is compared with, and what is left out of it."""

    what: str
    drift: Drift
    reference: str
    """What the mix is compared with, in words."""
    n_unknown: int
    """Verdicts that do not tell it."""

    def document(self) -> dict[str, Any]:
        """Return it as JSON."""
        found = self.drift
        return {
            "what": self.what,
            "psi": found.psi,
            "by_chance": found.by_chance,
            "level": found.level,
            "n_expected": found.n_expected,
            "n_found": found.n_found,
            "n_unknown": self.n_unknown,
            "reference": self.reference,
            "kinds": [kind._asdict() for kind in found.kinds],
        }


class DriftFigures:
    """Compares the verdicts that the console has counted with a bundle's calibration chats.

    Args:
        store: Where verdicts are counted, by the hour.
        bundle: The served one.
        rule: Its default policy's, whose score is counted.
    """

    def __init__(self, store: Store, bundle: Bundle, rule: DecisionRule) -> None:
        self._store = store
        self._policy = rule.policy.name
        self._expected = {
            CATEGORY: _categories(bundle),
            SCORE: _scores(bundle, rule),
            LANGUAGE: _languages(bundle),
            LENGTH: _lengths(bundle),
        }
        rule_of_languages = bundle.manifest.languages
        self._calibrated = frozenset() if rule_of_languages is None else frozenset(rule_of_languages.calibrated)

    def watched(self, now_ms: int, hours: int) -> list[Watched]:
        """Return each mix of the last hours.

        Args:
            now_ms: Milliseconds since 1970.
            hours: Whole ones, the one that is under way besides.

        Raises:
            StoreAway: the database does not answer.
        """
        since_ms = now_ms - now_ms % HOUR_MS - hours * HOUR_MS
        found = self._counted(since_ms, now_ms + HOUR_MS)
        return [
            self._against_calibration(CATEGORY, found[CATEGORY]),
            self._against_calibration(SCORE, found[SCORE]),
            self._of_language(found[LANGUAGE]),
            self._of_length(found[LENGTH], since_ms),
        ]

    def _counted(self, since_ms: int, until_ms: int) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {what: Counter() for what in WHATS}
        with self._store.reading() as connection:
            for (what, policy, key), n in totals(connection, WHATS, since_ms=since_ms, until_ms=until_ms).items():
                if what != SCORE or policy == self._policy:
                    found[what][key] += n
        return found

    def _of_length(self, found: Counter[str], since_ms: int) -> Watched:
        n_unknown = found.pop(_UNKNOWN, 0)
        if expected := self._expected[LENGTH]:
            reference = f"{sum(expected.values()):,} chats that were held out of training to calibrate"
            return Watched(LENGTH, drift(expected, found), reference, n_unknown)
        first_ms, first = self._first_lengths(since_ms)
        first.pop(_UNKNOWN, None)
        ordered = dict(sorted(first.items(), key=lambda item: int(item[0])))
        if ordered:
            reference = f"the first {_FIRST_DAYS} days that this console counted; this bundle records no lengths"
        elif first_ms is None:
            reference = "nothing: no verdict is counted yet"
        else:
            reference = f"nothing yet: this bundle records no lengths, and the first {_FIRST_DAYS} days are not over"
        return Watched(LENGTH, drift(ordered, found), reference, n_unknown)

    def _first_lengths(self, before_ms: int) -> tuple[int | None, Counter[str]]:
        """Return when counting began, and the lengths of the days that followed; none of them of the watched hours."""
        with self._store.reading() as connection:
            first_ms = first_hour(connection)
        if first_ms is None or first_ms + _FIRST_DAYS * DAY_MS > before_ms:
            return first_ms, Counter()
        return first_ms, self._counted(first_ms, first_ms + _FIRST_DAYS * DAY_MS)[LENGTH]

    def _against_calibration(self, what: str, found: Counts) -> Watched:
        expected = self._expected[what]
        return Watched(what, drift(expected, found), f"{sum(expected.values()):,} calibration chats", 0)

    def _of_language(self, found: Counter[str]) -> Watched:
        n_unknown = found.pop(_UNKNOWN, 0)
        if not self._calibrated:
            return Watched(LANGUAGE, drift({}, found), "nothing: the bundle tells no languages apart", n_unknown)
        told = Counter({_CALIBRATED: 0, _OTHERS: 0})
        for language, n in found.items():
            told[_CALIBRATED if language in self._calibrated else _OTHERS] += n
        names = ", ".join(sorted(self._calibrated))
        reference = f"the calibrated languages ({names}), as the bundle's detector names their texts"
        return Watched(LANGUAGE, drift(self._expected[LANGUAGE], told), reference, n_unknown)


def _categories(bundle: Bundle) -> dict[str, int]:
    """Return how often the bundle names each category on its calibration chats, as it does on traffic."""
    codes = bundle.taxonomy.codes
    if not len(bundle.calibration_labels):
        return {}
    named = bundle.calibration_probabilities.argmax(axis=1)
    return dict(zip(codes, np.bincount(named, minlength=len(codes)).tolist(), strict=True))


def _scores(bundle: Bundle, rule: DecisionRule) -> dict[str, int]:
    if not len(bundle.calibration_labels):
        return {}
    scores = policy_scores(bundle.calibration_evidence, banned_mask(rule.policy.counted, bundle.taxonomy.codes))
    tenths = np.minimum(_N_DECILES - 1, (scores * _N_DECILES).astype(np.int64))
    return {str(tenth): n for tenth, n in enumerate(np.bincount(tenths, minlength=_N_DECILES).tolist())}


def _languages(bundle: Bundle) -> dict[str, int]:
    """Return how many texts of the calibrated languages are named as such, as the bundle was measured."""
    rule, measured = bundle.manifest.languages, bundle.manifest.metrics.get("languages", {})
    if rule is None:
        return {}
    rows = [measured[code] for code in rule.calibrated if code in measured]
    n = sum(int(row["n_texts"]) for row in rows)
    if not n:
        return {_CALIBRATED: len(bundle.calibration_labels), _OTHERS: 0}
    n_others = round(sum(row["n_texts"] * row["uncalibrated"] for row in rows))
    return {_CALIBRATED: n - n_others, _OTHERS: n_others}


def _lengths(bundle: Bundle) -> dict[str, int]:
    """Return the longest messages by bucket; empty where the bundle was exported before they were recorded."""
    found: dict[str, int] = bundle.manifest.metrics.get("calibration", {}).get("longest_message", {})
    return found


def limits() -> dict[str, float]:
    """Return where the lines are."""
    return {"look": LOOK, "alert": ALERT, "least": LEAST_VERDICTS}
