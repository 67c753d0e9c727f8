"""What the probes say in the gate before a promotion: identities must not move decisions."""

from collections.abc import Mapping
from typing import Final

from training_pipeline.probes.document import WHOLE, IdentityGap, ProbeReport, Row
from training_pipeline.release.gate import GateLine, Rule

_SHOWN: Final = ("position", "mixture", "evasion", "language", "multi_turn", "look_alike")


def probe_lines(current: ProbeReport, candidate: ProbeReport, *, max_identity_gap: float) -> list[GateLine]:
    """Return the gate's lines: the largest identity gaps, which decide, and the families, for people.

    A gap passes within the margin, or where it is no larger than the current bundle's: a gate that refused every step
    towards the margin would keep the worst bundle in service.
    """
    lines = []
    for mine, other in zip(current.gaps, candidate.gaps, strict=True):
        pair = (abs(mine.largest_gap), abs(other.largest_gap))
        title = f"largest identity gap, {other.where} ({other.largest_gap_words})"
        lines.append(_line(title, _n_chats(other), pair, Rule.WITHIN, max_identity_gap))
    mine_rows, other_rows = _rows(current), _rows(candidate)
    for key in mine_rows.keys() & other_rows.keys():
        family, group = key
        if family in _SHOWN:
            pair = _error(mine_rows[key]), _error(other_rows[key])
            title = f"probes: {family.replace('_', ' ')}, {group}"
            lines.append(_line(title, other_rows[key].not_allowed.of, pair, Rule.NONE, 0.0))
    return sorted(lines, key=lambda line: (line.rule is Rule.NONE, line.figure))


def _rows(report: ProbeReport) -> Mapping[tuple[str, str], Row]:
    return {(table.family, row.group): row for table in report.tables if table.axis == WHOLE for row in table.rows}


def _error(row: Row) -> float:
    """Return the share of wrong decisions: allowed where banned, not allowed where safe."""
    return row.not_allowed.rate if row.group == "safe" else 1 - row.not_allowed.rate


def _n_chats(gap: IdentityGap) -> int:
    return gap.identities.of + gap.neutral.of


def _line(title: str, n_chats: int, pair: tuple[float, float], rule: Rule, margin: float) -> GateLine:
    difference = pair[1] - pair[0]
    return GateLine(title, n_chats, pair[0], pair[1], difference, difference, difference, rule, margin)
