"""May a candidate replace the bundle in service? A paired comparison on labelled chats that neither was trained on.

Both bundles answer the same chats, and each resample of the chats compares the two on the same draw: what is hard for
both cancels out. Every figure is a rate of errors, so a positive difference is worse.

Two rules. A guarded figure passes where even the upper end of its interval is within the margin (non-inferiority): few
chats make wide intervals, and then more chats are needed and not wider margins. A category has too few chats for that,
so it fails only where it is shown to be worse: where the lower end is above the margin.

Source: the paired percentile bootstrap, Efron and Tibshirani, An Introduction to the Bootstrap (1993), ch. 13; chats
are drawn within banned and safe, whose numbers are design and not chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.table import Table

from schemas import Decision
from training_pipeline.quality.evaluate import OPERATING_POINTS, Predictions, labelled
from training_pipeline.quality.metrics import Columns

_CONFIDENCE: Final = 0.95
_DECIMALS: Final = 4


class Rule(StrEnum):
    """What a figure must show."""

    NO_WORSE = "no worse"
    NOT_SHOWN_WORSE = "not shown worse"
    WITHIN = "within, or no worse"
    """The candidate itself is within the margin, or at least no worse than the current one."""
    NONE = "none"
    """For people only."""


class GateMargins(BaseModel):
    """How much worse a candidate may be, as shares of chats."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    banned_to_safe: float = Field(default=0.03, ge=0, le=1)
    safe_to_banned: float = Field(default=0.02, ge=0, le=1)
    accuracy: float = Field(default=0.02, ge=0, le=1)
    category: float = Field(default=0.0, ge=0, le=1)
    identity_gap: float = Field(default=0.02, ge=0, le=1)
    """Largest gap in the share of allowed chats between an identity and neutral words; needs probes."""
    n_resamples: int = Field(default=2_000, ge=100)
    seed: int = 0


@dataclass(frozen=True)
class GateLine:
    """One figure of both bundles. Rates of errors, 0..1."""

    figure: str
    n_chats: int
    current: float
    candidate: float
    difference: float
    """Candidate minus current; positive is worse."""
    low: float
    high: float
    """Interval of the difference, 95 %."""
    rule: Rule
    margin: float

    @property
    def passes(self) -> bool:
        """Whether the rule is met."""
        if self.rule is Rule.NONE:
            return True
        if self.rule is Rule.WITHIN:
            return self.candidate <= self.margin or self.difference <= 0
        return (self.high if self.rule is Rule.NO_WORSE else self.low) <= self.margin

    def as_dict(self) -> dict[str, Any]:
        """Return the line for JSON."""
        numbers = {name: round(getattr(self, name), _DECIMALS) for name in ("current", "candidate", "low", "high")}
        fixed = {"figure": self.figure, "n_chats": self.n_chats, "rule": self.rule.value, "margin": self.margin}
        return {**fixed, **numbers, "difference": round(self.difference, _DECIMALS), "passes": self.passes}


@dataclass(frozen=True)
class _Figure:
    """A rate of errors over the chats of one kind, and what it must show."""

    title: str
    errors: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    """Of the current bundle and of the candidate, [n_chats]; ignored where `at_rate` is given."""
    among: NDArray[np.bool_]
    rule: Rule
    margin: float
    at_rate: float | None = None
    """safe->banned rate that fixes the threshold; it is found anew on each resample."""


def compare_bundles(
    current: Predictions, candidate: Predictions, banned: Columns, margins: GateMargins
) -> list[GateLine]:
    """Compare two bundles' answers to the same chats.

    Raises:
        ValueError: the chats differ, or the policy bans something and they hold no banned or no safe chat.
    """
    if not np.array_equal(current.labels, candidate.labels):
        raise ValueError("the two bundles answered different chats; expected the same ones in the same order")
    truly_banned = banned[current.labels]
    if banned.any() and (truly_banned.all() or not truly_banned.any()):
        raise ValueError(f"{int(truly_banned.sum())} banned of {len(truly_banned)} chats; expected both kinds")
    scores = [p.scored[:, banned].sum(axis=1) for p in (current, candidate)]
    figures = _figures(current, candidate, banned, margins)
    draws = _resamples(truly_banned, margins)
    whole = np.arange(len(truly_banned))
    found = np.array([_rates(figures, scores, truly_banned, whole)])
    resampled = np.array([_rates(figures, scores, truly_banned, index) for index in draws])
    differences = resampled[:, :, 1] - resampled[:, :, 0]
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.nanquantile(differences, [tail, 1 - tail], axis=0)
    return [
        GateLine(
            figure=figure.title,
            n_chats=int(figure.among.sum()),
            current=float(found[0, i, 0]),
            candidate=float(found[0, i, 1]),
            difference=float(found[0, i, 1] - found[0, i, 0]),
            low=float(low[i]),
            high=float(high[i]),
            rule=figure.rule,
            margin=figure.margin,
        )
        for i, figure in enumerate(figures)
    ]


def _figures(current: Predictions, candidate: Predictions, banned: Columns, margins: GateMargins) -> list[_Figure]:
    mask = banned
    truly_banned = mask[current.labels]
    predicted = (current.predicted, candidate.predicted)
    passed = (~mask[predicted[0]], ~mask[predicted[1]])
    lost = (mask[predicted[0]], mask[predicted[1]])
    wrong = (predicted[0] != current.labels, predicted[1] != current.labels)
    allowed = (current.decided(Decision.ALLOW), candidate.decided(Decision.ALLOW))
    blocked = (current.decided(Decision.BLOCK), candidate.decided(Decision.BLOCK))
    everyone = np.ones(len(truly_banned), dtype=bool)
    point = OPERATING_POINTS[0]
    at_point = f"at safe->banned {point:.1%}"
    no_worse = Rule.NO_WORSE
    wrong_category = _Figure("wrong category (1 - accuracy)", wrong, everyone, no_worse, margins.accuracy)
    if not banned.any():
        return [wrong_category]
    figures = [
        _Figure(f"banned->safe {at_point}", passed, truly_banned, no_worse, margins.banned_to_safe, at_rate=point),
        _Figure("banned->safe, most probable category", passed, truly_banned, no_worse, margins.banned_to_safe),
        _Figure("safe->banned, most probable category", lost, ~truly_banned, no_worse, margins.safe_to_banned),
        wrong_category,
        _Figure("banned allowed by the policy", allowed, truly_banned, Rule.NONE, 1.0),
        _Figure("safe blocked by the policy", blocked, ~truly_banned, Rule.NONE, 1.0),
    ]
    taxonomy = current.taxonomy
    for code in sorted(code for code, column in taxonomy.columns.items() if banned[column]):
        among = current.labels == taxonomy.columns[code]
        title = f"banned->safe {at_point}: {labelled(code, taxonomy)}"
        if among.any():
            figures.append(_Figure(title, passed, among, Rule.NOT_SHOWN_WORSE, margins.category, at_rate=point))
    return figures


def _resamples(truly_banned: NDArray[np.bool_], margins: GateMargins) -> Sequence[NDArray[np.int64]]:
    rng = np.random.default_rng(margins.seed)
    banned, safe = np.flatnonzero(truly_banned), np.flatnonzero(~truly_banned)
    return [
        np.concatenate([rng.choice(banned, len(banned)), rng.choice(safe, len(safe))])
        for _ in range(margins.n_resamples)
    ]


def _rates(
    figures: Sequence[_Figure],
    scores: Sequence[NDArray[np.float32]],
    truly_banned: NDArray[np.bool_],
    index: NDArray[np.int64],
) -> list[list[float]]:
    """Return [figure][bundle] on these chats; NaN where a category has none of them."""
    safe = index[~truly_banned[index]]
    passed: dict[float, list[NDArray[np.bool_]]] = {}
    for rate in {figure.at_rate for figure in figures if figure.at_rate is not None}:
        cuts = [np.quantile(score[safe], 1 - rate, method="higher") for score in scores]
        passed[rate] = [score <= cut for score, cut in zip(scores, cuts, strict=True)]
    return [
        [
            _mean(errors[index[figure.among[index]]])
            for errors in (figure.errors if figure.at_rate is None else passed[figure.at_rate])
        ]
        for figure in figures
    ]


def _mean(errors: NDArray[np.bool_]) -> float:
    return float(errors.mean()) if len(errors) else float("nan")


def print_gate(lines: Sequence[GateLine], console: Console) -> None:
    """Print the table for people."""
    table = Table(title="Candidate against the bundle in service (error rates; positive differences are worse)")
    for name in ("figure", "chats", "current", "candidate", "difference", "95 % interval", "rule", ""):
        table.add_column(name, justify="left" if name in ("figure", "rule", "") else "right")
    for line in lines:
        rule = "" if line.rule is Rule.NONE else f"{line.rule.value}, margin {line.margin:.3f}"
        verdict = "" if line.rule is Rule.NONE else ("passes" if line.passes else "FAILS")
        rates = (f"{line.current:.4f}", f"{line.candidate:.4f}", f"{line.difference:+.4f}")
        table.add_row(line.figure, str(line.n_chats), *rates, f"{line.low:+.4f} to {line.high:+.4f}", rule, verdict)
    console.print(table)
