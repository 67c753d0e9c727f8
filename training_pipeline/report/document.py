"""What `evaluate` and `compare` write: one JSON document, from which the HTML report and the tables are made.

Rates are 0..1 and rounded to four decimals, times are in the unit of their name. Everything is measured on the chats
whose annotators agree, unless a name says otherwise.
"""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from schemas import CHAT_13, Taxonomy

FORMAT_VERSION: Final = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Identity(_Part):
    """Which model."""

    name: str
    kind: Literal["bundle", "hub", "llm"]
    version: str | None = None
    digest: str | None = None
    """Of a bundle's manifest."""
    detail: str
    """Where the answers come from, in words."""


class Count(_Part):
    """So many chats of so many."""

    n: int
    of: int

    @property
    def rate(self) -> float:
        """The share, 0..1; 0 of none."""
        return self.n / self.of if self.of else 0.0


class Interval(_Part):
    """A figure with its 95 % interval: exact for proportions, else bootstrap."""

    value: float
    low: float | None = None
    """None where no intervals were asked for."""
    high: float | None = None


class OperatingPoint(_Part):
    """What the banned probability would give at one threshold."""

    target_safe_to_banned_rate: float
    threshold: float
    """Chats above it count as banned; chosen on these very chats, to compare models, never to serve."""
    banned_to_safe: Count
    safe_to_banned: Count
    banned_to_safe_rate: Interval


class Curve(_Part):
    """A curve as points, thinned for drawing, and its area, of the whole curve."""

    area: float
    points: list[tuple[float, float]]


class ReliabilityBin(_Part):
    """Chats whose stated probability falls into one bin."""

    low: float
    high: float
    n_chats: int
    mean_probability: float
    share_true: float


class Attack(_Part):
    """Banned chats whose user messages were disguised."""

    kind: str
    """`none`: as they came."""
    recalled: Count
    """Still called banned."""
    allowed: Count | None
    """Answered `allow`; None for a model without decisions."""


class Slice(_Part):
    """The chats that have something in common."""

    name: str
    n_chats: int
    accuracy: float
    banned_to_safe: Count
    safe_to_banned: Count


class Speed(_Part):
    """How long answers take on the machine of the run."""

    p50_ms: float | None
    p95_ms: float | None
    n_timed: int
    """Chats timed one at a time."""
    chats_per_s: float | None
    n_chats_per_call: int | None
    """Chats per call of `chats_per_s`."""
    n_threads: int | None
    detail: str


class Usage(_Part):
    """What one pass over all chats took."""

    n_input_tokens: int
    n_output_tokens: int
    cost_usd: float | None = None
    """None where no price is known."""
    detail: str


class ModelReport(_Part):
    """All figures of one model."""

    identity: Identity
    n_without_answer: int
    """Of the agreed chats; they count as wrong in every figure."""
    agreed: dict[str, Any]
    """As in a bundle's manifest."""
    all: dict[str, Any]
    """The same with the chats that annotators disagree on."""
    intervals: dict[str, Interval]
    operating_points: list[OperatingPoint]
    roc: Curve | None
    """x: share of safe chats lost, y: share of banned chats caught."""
    category_roc: dict[str, Curve] = {}
    """By code, each category against all others. x: share of the others, y: share of its own; empty without scores."""
    precision_recall: Curve | None
    """x: share of banned chats caught, y: share of caught chats that are banned."""
    reliability: list[ReliabilityBin]
    """Confidence in the named category against how often it is right."""
    banned_reliability: list[ReliabilityBin]
    """Banned probability against how often the chat is banned."""
    confusion: list[list[int]]
    """[n_categories][n_categories + 1]: true category by named category; the last column: no answer."""
    attacks: list[Attack]
    slices: dict[str, list[Slice]]
    """By what the chats have in common: language, characters, messages."""
    speed: Speed | None
    usage: Usage | None


class DataFile(_Part):
    """One file of labelled chats."""

    name: str
    digest: str


class Setting(_Part):
    """What was measured, on what, and how."""

    files: list[DataFile]
    n_chats: int
    n_agreed: int
    n_banned: int
    """Of the agreed chats."""
    n_rejected_by_reason: dict[str, int]
    policy: dict[str, Any]
    taxonomy: Taxonomy = CHAT_13
    n_resamples: int
    """Bootstrap resamples; 0: no intervals."""
    seed: int
    machine: str
    measured_at: str
    """UTC, ISO 8601."""


class Difference(_Part):
    """A model against the baseline on the same chats."""

    model: str
    baseline: str
    figure: str
    n_chats: int
    """Chats that the figure counts over."""
    n_only_model_wrong: int | None
    n_only_baseline_wrong: int | None
    difference: Interval
    """Model minus baseline, of rates."""
    p_value: float | None
    """McNemar's exact test; None where only the bootstrap speaks."""


class ProbeFigure(_Part):
    """Probes of one kind that got the same answer."""

    title: str
    """Which chats, and what is counted of them."""
    count: Count
    rate: Interval
    """With its exact interval."""
    better: Literal["high", "low"]


class GapSummary(_Part):
    """The identity whose chats are allowed at the share farthest from that of neutral words."""

    where: Literal["template", "inserted"]
    words: str
    gap: float
    """Allowed share with neutral words minus the share with this identity."""
    identity: Count
    """Allowed, of the chats about it."""
    identity_rate: Interval
    neutral: Count
    neutral_rate: Interval

    @property
    def place(self) -> str:
        """Return where the words stand, for people."""
        return "in templates" if self.where == "template" else "put into safe chats"


class ProbeSummary(_Part):
    """One bundle's main figures on the probes."""

    model: str
    n_cases: int
    figures: list[ProbeFigure]
    gaps: list[GapSummary]

    def named(self, title: str) -> ProbeFigure | None:
        """Return a figure by its title."""
        return next((figure for figure in self.figures if figure.title == title), None)

    def at(self, where: str) -> GapSummary | None:
        """Return the gap of one kind of chats."""
        return next((gap for gap in self.gaps if gap.where == where), None)


class PublishedRow(_Part):
    """Figures that others published on their own test set."""

    name: str
    accuracy: float
    macro_f1: float | None = None
    cross_category_error_rate: float | None = None
    banned_to_safe: Count | None = None
    safe_to_banned: Count | None = None


class Published(_Part):
    """Published figures; never to be read as measured here."""

    source: str
    test_set: str
    note: str
    rows: list[PublishedRow]


class Evaluation(_Part):
    """The document of `evaluate`."""

    format_version: Literal[1] = FORMAT_VERSION
    setting: Setting
    model: ModelReport


class ModelComparison(_Part):
    """The document of `compare`."""

    format_version: Literal[1] = FORMAT_VERSION
    setting: Setting
    models: list[ModelReport] = Field(min_length=1)
    differences: list[Difference]
    published: Published | None = None
    probes: list[ProbeSummary] = []
    """Of the bundles, where probes were asked for."""
