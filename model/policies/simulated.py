"""The account of a simulation: counts, shares, risks and a sample of each kind of change. Pure, in constant memory."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from itertools import product
from typing import Any, Final

import numpy as np

from model.calibration import ScoreArray
from model.decision import SEVERITY
from model.policies.decide_columns import SaidColumns
from model.policies.simulate import Case, Curve, Said, Simulation
from schemas import Decision, Policy

_DECIMALS: Final = 6

Move = tuple[Decision, Decision]
"""What was decided and what would be."""


@dataclass
class Risks:
    """Banned-to-safe risks of many verdicts."""

    n: int = 0
    n_unknown: int = 0
    total: float = 0.0
    largest: float = 0.0

    def add(self, risk: float | None) -> None:
        """Count one; None where it is not known."""
        if risk is None:
            self.n_unknown += 1
            return
        self.n += 1
        self.total += risk
        self.largest = max(self.largest, risk)

    def add_many(self, risks: ScoreArray) -> None:
        """Count known ones, at least one."""
        self.n += len(risks)
        self.total += float(risks.sum())
        self.largest = max(self.largest, float(risks.max()))

    def line(self) -> dict[str, float] | None:
        """Return mean and largest; None where one of them is not known."""
        if self.n_unknown or not self.n:
            return None
        return {"mean": round(self.total / self.n, _DECIMALS), "largest": round(self.largest, _DECIMALS)}


@dataclass
class ChatSample:
    """Some chats out of many, each at most once, whatever their order: those whose seeded digests are the smallest.

    Args:
        size: How many are kept.
        seed: Another one keeps others.
    """

    size: int
    seed: int
    _kept: list[tuple[int, str]] = field(default_factory=list)
    _ids: set[str] = field(default_factory=set)

    def add(self, chat_id: str) -> None:
        """Take one."""
        if chat_id in self._ids or not self.size:
            return
        named = chat_id.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(named, digest_size=8, salt=self.seed.to_bytes(8, "big")).digest()
        # A heap gives up its smallest; so the largest digest must be the smallest entry.
        entry = (-int.from_bytes(digest, "big"), chat_id)
        if len(self._kept) < self.size:
            heappush(self._kept, entry)
        else:
            dropped = heappushpop(self._kept, entry)
            self._ids.discard(dropped[1])
            if dropped == entry:
                return
        self._ids.add(chat_id)

    def chat_ids(self) -> list[str]:
        """Return those that are kept, in the order of their digests."""
        return [chat_id for _, chat_id in sorted(self._kept, reverse=True)]


@dataclass
class Change:
    """All verdicts that moved from one decision to another, or stayed."""

    sample: ChatSample
    n: int = 0
    old_risks: Risks = field(default_factory=Risks)
    new_risks: Risks = field(default_factory=Risks)

    def add(self, chat_id: str, old: Said, new: Said) -> None:
        """Count one verdict."""
        self.n += 1
        self.old_risks.add(old.risk)
        self.new_risks.add(new.risk)
        self.sample.add(chat_id)


class Account:
    """Takes the cases of a simulation.

    Args:
        simulation: Whose cases they are.
        n_sampled: Chats that are named of each kind of change.
        seed: Of the sample.
    """

    def __init__(self, simulation: Simulation, *, n_sampled: int = 10, seed: int = 0) -> None:
        self.new = simulation.new.policy
        self.against = None if simulation.against is None else simulation.against.policy
        self.set_aside: Counter[str] = Counter()
        self._sampled = (n_sampled, seed)
        self._changes: dict[Move, Change] = {}
        self._curves = {"new": Curve()} | ({} if self.against is None else {"against": Curve()})

    def add(self, case: Case) -> None:
        """Count a case."""
        if case.old is None or case.new is None:
            self.set_aside[case.set_aside or "unknown"] += 1
            return
        move = (case.old.decision, case.new.decision)
        if move not in self._changes:
            self._changes[move] = Change(ChatSample(*self._sampled))
        self._changes[move].add(case.chat_id, case.old, case.new)
        self._curves["new"].add(case.new)
        if self.against is not None:
            self._curves["against"].add(case.old)

    def add_many(self, chat_ids: Sequence[str], old: SaidColumns, new: SaidColumns) -> None:
        """Count verdicts that were decided twice, as columns of one length; `against` must have been named."""
        for before, after in product(Decision, repeat=2):
            rows = np.flatnonzero((old.decisions == SEVERITY[before]) & (new.decisions == SEVERITY[after]))
            if not len(rows):
                continue
            change = self._changes.setdefault((before, after), Change(ChatSample(*self._sampled)))
            change.n += len(rows)
            change.old_risks.add_many(old.risks[rows])
            change.new_risks.add_many(new.risks[rows])
            # Of what stays as it is no chats are named.
            for row in rows.tolist() if before is not after else ():
                change.sample.add(chat_ids[row])
        self._curves["new"].add_many(new.allowed_from)
        self._curves["against"].add_many(old.allowed_from)

    @property
    def n_compared(self) -> int:
        """Verdicts that were decided twice."""
        return sum(change.n for change in self._changes.values())

    @property
    def n_changed(self) -> int:
        """Of these, the ones with another decision."""
        return sum(change.n for (old, new), change in self._changes.items() if old is not new)

    def decided(self) -> dict[str, dict[str, int]]:
        """Return how often each side gives each decision."""
        sides: dict[str, Counter[Decision]] = {"old": Counter(), "new": Counter()}
        for (old, new), change in self._changes.items():
            sides["old"][old] += change.n
            sides["new"][new] += change.n
        return {side: {decision.value: counts[decision] for decision in Decision} for side, counts in sides.items()}

    def changes(self) -> list[dict[str, Any]]:
        """Return all moves that were seen, real ones first, the commonest first."""
        ordered = sorted(self._changes.items(), key=lambda item: (item[0][0] is item[0][1], -item[1].n, item[0]))
        return [
            {
                "old": old.value,
                "new": new.value,
                "n": change.n,
                "share": self._share(change.n),
                "old_risk": change.old_risks.line(),
                "new_risk": change.new_risks.line(),
                "chat_ids": change.sample.chat_ids() if old is not new else [],
            }
            for (old, new), change in ordered
        ]

    def curves(self) -> dict[str, list[tuple[float, float]]]:
        """Return (accepted banned-to-safe rate, allowed share) for `new` and, where one is named, `against`."""
        return {
            side: [(round(rate, _DECIMALS), round(share, _DECIMALS)) for rate, share in curve.points()]
            for side, curve in self._curves.items()
        }

    def document(self) -> dict[str, Any]:
        """Return the account as one JSON object."""
        return {
            "new": _named(self.new),
            "against": None if self.against is None else _named(self.against),
            "n_compared": self.n_compared,
            "n_changed": self.n_changed,
            "changed_share": self._share(self.n_changed),
            "n_set_aside": dict(sorted(self.set_aside.items())),
            "decisions": self.decided(),
            "changes": self.changes(),
            "curves": self.curves(),
        }

    def _share(self, n: int) -> float | None:
        return round(n / self.n_compared, _DECIMALS) if self.n_compared else None


def _named(policy: Policy) -> dict[str, Any]:
    return {
        "name": policy.name,
        "version": policy.version,
        "max_banned_to_safe_rate": policy.max_banned_to_safe_rate,
        "max_safe_to_banned_rate": policy.max_safe_to_banned_rate,
    }
