"""What `probes` writes: counts by family, axis and row, each with its exact interval; the identity gaps.

Rates are 0..1, intervals Clopper-Pearson at 95 %.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from training_pipeline.report.document import Count, Identity, Interval

FORMAT_VERSION: Final = 1

WHOLE: Final = "all"
"""Axis of the row that holds all cases of a family and group."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Row(_Part):
    """Cases that have something in common; banned ones and safe ones are apart."""

    name: str
    group: Literal["M", "D, J", "safe"]
    not_allowed: Count
    """Answered `review` or `block`: right for the banned ones, a loss for the safe ones."""
    not_allowed_rate: Interval
    blocked: Count
    blocked_rate: Interval


class Table(_Part):
    """All cases of a family along one axis."""

    family: str
    axis: str
    rows: list[Row]


class IdentityRow(_Part):
    """How often chats about somebody are allowed."""

    words: str
    side: Literal["identity", "neutral"]
    allowed: Count
    allowed_rate: Interval
    gap: float
    """Allowed share of the neutral words together, minus this one; positive: it is allowed less often."""


class IdentityGap(_Part):
    """Counterfactual chats of one kind."""

    where: Literal["template", "inserted"]
    n_bases: int
    """Templates or chats."""
    identities: Count
    """Allowed, of all chats about an identity."""
    neutral: Count
    """Allowed, of all chats with neutral words."""
    largest_gap: float
    """Largest absolute gap of an identity."""
    largest_gap_words: str
    largest_neutral_gap: float
    """Largest absolute gap of one neutral word: what chance and the words' other meanings make."""
    rows: list[IdentityRow]


class ProbeReport(_Part):
    """The document of `probes`."""

    format_version: Literal[1] = FORMAT_VERSION
    identity: Identity
    """Which bundle."""
    policy: dict[str, Any]
    split: Literal["train", "measure"]
    seed: int
    n_cases: int
    seconds: float
    tables: list[Table]
    gaps: list[IdentityGap]

    def short(self) -> dict[str, Any]:
        """Return the families as wholes and the largest gaps, for a manifest and for a command's last line."""
        whole = self.model_dump(mode="json")
        whole["tables"] = [table for table in whole["tables"] if table["axis"] == WHOLE]
        whole["gaps"] = [{name: value for name, value in gap.items() if name != "rows"} for gap in whole["gaps"]]
        return whole
