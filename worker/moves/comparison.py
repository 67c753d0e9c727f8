"""How far a shadow agrees with the live model, from the verdicts of both. Pure.

Two verdicts are compared where they answer the same input record. Of the live ones only those count that were
classified, not cached or replayed, and that belong to the sample: the others never reach a shadow. Decisions mean the
same under every taxonomy and are compared always; categories only where both verdicts are of one taxonomy, and each
taxonomy has the other verdict's category.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import orjson

from worker.moves.counts import Move, Outcomes, named_moves
from worker.moves.sample import is_sampled
from worker.moves.taxonomy_name import are_comparable, taxonomy_name
from worker.record import Place

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Said(NamedTuple):
    """What is compared of one verdict."""

    category: str
    decision: str
    banned_probability: float
    taxonomy: str
    """Its name: versions of one taxonomy are compared."""
    codes: frozenset[str]
    """Of the taxonomy; one object for all verdicts of a taxonomy."""

    def is_comparable(self, other: "Said") -> bool:
        """Say whether the categories of both mean the same things."""
        return self.taxonomy == other.taxonomy and are_comparable(
            self.category, self.codes, other.category, other.codes
        )


@dataclass(frozen=True)
class Agreement:
    """The account of one shadow model against whatever was live."""

    shadow_digest: str | None
    """None where the shadow topic holds no verdict of the time span."""
    live_digests: tuple[str, ...]
    n_live: int
    """Live verdicts that a shadow should have answered."""
    outcomes: Outcomes
    """`n_compared` pairs; all of them by category and by decision, unchanged ones too."""
    mean_abs_difference: float | None
    """Of the banned probabilities; None without a pair."""
    n_other_models: int
    """Shadow verdicts of other models, which are not part of it."""
    n_other_taxonomy: int = 0
    """Pairs whose categories say nothing of each other: only their decisions were compared."""

    @property
    def category_agreement(self) -> float | None:
        """Share of pairs with the same category, 0..1, of those of one taxonomy; None without such a pair."""
        return _same(self.outcomes.categories, self.outcomes.n_compared - self.n_other_taxonomy)

    @property
    def decision_agreement(self) -> float | None:
        """Share of pairs with the same decision, 0..1; None without a pair."""
        return _same(self.outcomes.decisions, self.outcomes.n_compared)

    def reaches(self, least: float) -> bool:
        """Say whether category and decision both agree at least so often; without a pair they do not.

        Between two taxonomies there is no category to agree on, and the decision alone counts.
        """
        found = [self.decision_agreement]
        if self.n_other_taxonomy < self.outcomes.n_compared:
            found.append(self.category_agreement)
        return all(share is not None and share >= least for share in found)

    def line(self) -> dict[str, Any]:
        """Return everything as one JSON object."""
        outcomes = self.outcomes
        return {
            "event": "shadow_report",
            "shadow_model": self.shadow_digest,
            "live_models": list(self.live_digests),
            "n_live": self.n_live,
            "n_compared": outcomes.n_compared,
            "n_missing": self.n_live - outcomes.n_compared,
            "n_other_models": self.n_other_models,
            "n_other_taxonomy": self.n_other_taxonomy,
            "category_agreement": _rounded(self.category_agreement),
            "decision_agreement": _rounded(self.decision_agreement),
            "banned_probability_mean_abs_diff": _rounded(self.mean_abs_difference),
            **named_moves(outcomes),
        }


def _same(moves: Mapping[Move, int], n_compared: int) -> float | None:
    n_same = sum(count for move, count in moves.items() if move[0] == move[1])
    return n_same / n_compared if n_compared else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


class Comparison:
    """Takes the records of both topics and compares them at the end. Memory: about 300 bytes per verdict.

    Args:
        sample_ratio: Share of the classified chats that the shadow was asked to judge.
    """

    def __init__(self, sample_ratio: float) -> None:
        self._sample_ratio = sample_ratio
        self._live: dict[Place, Said] = {}
        self._live_digests: set[str] = set()
        self._shadow: dict[str, dict[Place, Said]] = {}
        self._newest: dict[str, datetime] = {}
        self._codes: dict[frozenset[str], frozenset[str]] = {}

    def _read(self, raw: bytes | None) -> tuple[dict[str, Any], Place, Said] | None:
        """Return a verdict with what is needed of it; None for what is none."""
        try:
            verdict = orjson.loads(raw or b"")
            source = verdict["source"]
            place = (source["topic"], source["partition"], source["offset"])
            codes = frozenset(verdict["probabilities"])
            said = Said(
                verdict["category"]["code"],
                verdict["decision"],
                verdict["banned_probability"],
                taxonomy_name(verdict),
                self._codes.setdefault(codes, codes),
            )
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None
        return verdict, place, said

    def add_live(self, raw: bytes | None) -> None:
        """Take one record of the verdict topic; what no shadow is asked about is passed over."""
        if (read := self._read(raw)) is None:
            return
        verdict, place, said = read
        if verdict["cache_hit"] or verdict["replay_id"] is not None:
            return
        if is_sampled(verdict["content_fingerprint"], self._sample_ratio):
            self._live[place] = said
            self._live_digests.add(verdict["model"]["digest"])

    def add_shadow(self, raw: bytes | None) -> None:
        """Take one record of the shadow topic."""
        if (read := self._read(raw)) is None:
            return
        verdict, place, said = read
        digest = verdict["model"]["digest"]
        self._shadow.setdefault(digest, {})[place] = said
        self._newest[digest] = max(self._newest.get(digest, _NEVER), datetime.fromisoformat(verdict["decided_at"]))

    def agreement(self, shadow_model: str = "") -> Agreement:
        """Compare.

        Args:
            shadow_model: First digits of the shadow model's digest; of several models that match, the one that judged
                last counts.
        """
        start = f"sha256:{shadow_model.removeprefix('sha256:')}"
        matching = [digest for digest in self._shadow if digest.startswith(start)]
        digest = max(matching, key=lambda one: self._newest[one], default=None)
        said = self._shadow[digest] if digest is not None else {}
        pairs = [(live, said[place]) for place, live in self._live.items() if place in said]
        of_one_taxonomy = [(live, shadow) for live, shadow in pairs if live.is_comparable(shadow)]
        outcomes = Outcomes(
            n_compared=len(pairs),
            n_changed=sum(
                live.decision != shadow.decision or (live.category != shadow.category and live.is_comparable(shadow))
                for live, shadow in pairs
            ),
            categories=Counter((live.category, shadow.category) for live, shadow in of_one_taxonomy),
            decisions=Counter((live.decision, shadow.decision) for live, shadow in pairs),
        )
        distances = [abs(live.banned_probability - shadow.banned_probability) for live, shadow in pairs]
        return Agreement(
            shadow_digest=digest,
            live_digests=tuple(sorted(self._live_digests)),
            n_live=len(self._live),
            outcomes=outcomes,
            mean_abs_difference=sum(distances) / len(distances) if distances else None,
            n_other_models=sum(len(places) for other, places in self._shadow.items() if other != digest),
            n_other_taxonomy=len(pairs) - len(of_one_taxonomy),
        )
