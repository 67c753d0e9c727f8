"""Measure one model, and any number of models on the same chats, into the documents of this package."""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from model.bundle.files import sha256_of
from model.calibration import banned_mask
from model.windowing import Windowing
from schemas import Policy, Taxonomy
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.quality.evaluate import OPERATING_POINTS, OnProgress, Predictions, figures
from training_pipeline.quality.metrics import NO_ANSWER, Columns, safety_metrics
from training_pipeline.report import curves
from training_pipeline.report.attacks import attacks
from training_pipeline.report.candidate import Candidate, priced
from training_pipeline.report.category_curves import category_roc
from training_pipeline.report.document import (
    Count,
    DataFile,
    Difference,
    Evaluation,
    Interval,
    ModelComparison,
    ModelReport,
    Published,
    Setting,
)
from training_pipeline.report.exact import exact_interval, no_narrower
from training_pipeline.report.intervals import Floats, figures_once, figures_per_draw, interval
from training_pipeline.report.paired import differences
from training_pipeline.report.slices import Names, slice_names, slices

OnStep = Callable[[str, str], OnProgress | None]
"""Called with a model's name and what is measured next; returns whom to tell how many chats are done."""


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure."""

    n_resamples: int = 2_000
    """0 leaves out the intervals."""
    n_timed: int = 200
    """Chats timed one at a time; 0 leaves out the times."""
    with_attacks: bool = True
    seed: int = 0
    prices: Mapping[str, float] = field(default_factory=dict)
    """USD per million tokens, by the model's name; other prices are the model's own."""


@dataclass(frozen=True)
class TestSet:
    """The chats everything is measured on."""

    chats: LabelledChats
    files: list[DataFile]
    policy: Policy
    options: Options
    names: dict[str, Names] = field(repr=False)
    """Slice names of the agreed chats."""

    @property
    def banned(self) -> Columns:
        """Which columns the policy bans, bool [n_categories]."""
        return banned_mask(self.policy.banned, self.chats.taxonomy.codes)

    @property
    def agreed(self) -> LabelledChats:
        """The chats whose annotators agree."""
        return self.chats.take(np.flatnonzero(self.chats.agreed))


@dataclass(frozen=True)
class Measured:
    """One model's report and what comparisons need of it."""

    report: ModelReport
    predictions: Predictions
    """On the agreed chats."""
    per_draw: Mapping[str, Floats] | None


def read_test_set(paths: Sequence[Path], taxonomy: Taxonomy, policy: Policy, options: Options) -> TestSet:
    """Read labelled chats and name their slices.

    Raises:
        ValueError: a line is no labelled chat, or the policy bans something and the agreed chats are not some banned
            and some safe ones.
    """
    chats = read_labelled_chats(paths, Windowing(), frozenset(), taxonomy)
    banned = banned_mask(policy.banned, taxonomy.codes)[chats.labels[chats.agreed]]
    if policy.banned and (banned.all() or not banned.any()):
        raise ValueError(
            f"--data: {int(banned.sum())} banned of {len(banned)} chats whose annotators agree, under policy "
            f"{policy.name!r}; expected some banned and some safe ones, or there is no safety pair to measure"
        )
    conversations = [turns for turns, agreed in zip(chats.conversations, chats.agreed, strict=True) if agreed]
    files = [DataFile(name=path.name, digest=sha256_of(path.read_bytes())) for path in paths]
    return TestSet(chats, files, policy, options, slice_names(conversations))


def evaluation(candidate: Candidate, test_set: TestSet, on_step: OnStep) -> Evaluation:
    """Measure one model."""
    return Evaluation(setting=_setting(test_set), model=measure(candidate, test_set, on_step).report)


def comparison(
    candidates: Sequence[Candidate], test_set: TestSet, on_step: OnStep, published: Published | None
) -> ModelComparison:
    """Measure several models on the same chats; the first one is the baseline of the differences."""
    measured = [measure(candidate, test_set, on_step) for candidate in candidates]
    return ModelComparison(
        setting=_setting(test_set),
        models=[one.report for one in measured],
        differences=[row for one in measured[1:] for row in _differences(one, measured[0], test_set.banned)],
        published=published,
    )


def measure(candidate: Candidate, test_set: TestSet, on_step: OnStep) -> Measured:
    """Measure one model.

    Raises:
        ValueError: the model cannot answer the chats.
    """
    chats, options, banned = test_set.chats, test_set.options, test_set.banned
    name = candidate.identity.name
    everything = candidate.predict(chats, on_step(name, "answers"))
    agreed = everything.take(chats.agreed)
    on_step(name, "intervals")
    per_draw = figures_per_draw(agreed, banned, options.n_resamples, options.seed) if options.n_resamples else None
    on_step(name, "speed")
    speed, usage = candidate.speed(chats.conversations, options.n_timed), candidate.usage(chats)
    if usage is not None and name in options.prices:
        usage = priced(usage, options.prices[name])
    under_attack = []
    if options.with_attacks and candidate.is_attackable and banned.any():
        on_step(name, "attacks")
        under_attack = attacks(test_set.agreed, candidate.predict, banned, seed=options.seed)
    scored, of_pair = agreed.has_scores, agreed.has_scores and bool(banned.any())
    report = ModelReport(
        identity=candidate.identity,
        n_without_answer=int((agreed.predicted == NO_ANSWER).sum()),
        agreed=figures(agreed, banned),
        all=figures(everything, banned),
        intervals=_intervals(agreed, banned, per_draw),
        operating_points=curves.operating_points(agreed, banned, per_draw) if of_pair else [],
        category_roc=category_roc(agreed, chats.taxonomy.codes) if scored else {},
        roc=curves.roc(agreed, banned) if of_pair else None,
        precision_recall=curves.precision_recall(agreed, banned) if of_pair else None,
        reliability=curves.reliability(agreed) if scored else [],
        banned_reliability=curves.banned_reliability(agreed, banned) if of_pair else [],
        confusion=curves.confusion(agreed),
        attacks=under_attack,
        slices={kind: slices(agreed, names, banned) for kind, names in test_set.names.items()},
        speed=speed,
        usage=usage,
    )
    return Measured(report, agreed, per_draw)


def _intervals(predictions: Predictions, banned: Columns, per_draw: Mapping[str, Floats] | None) -> dict[str, Interval]:
    once = figures_once(predictions, banned)
    if per_draw is None:
        return {name: interval(value, None) for name, value in once.items()}
    found = {name: interval(value, per_draw[name]) for name, value in once.items()}
    counts = _counts(predictions, banned)
    if not banned.any():
        return found | {"accuracy": exact_interval(counts["accuracy"])}
    at_points = {f"banned_to_safe_rate_at_safe_to_banned_{rate}" for rate in OPERATING_POINTS} & found.keys()
    n_banned = counts["banned_to_safe_rate"].of
    passed = {name: Count(n=round(once[name] * n_banned), of=n_banned) for name in at_points}
    found |= {name: no_narrower(found[name], count) for name, count in passed.items()}
    return found | {name: exact_interval(count) for name, count in counts.items()}


def _counts(predictions: Predictions, banned: Columns) -> dict[str, Count]:
    """Return the figures that are plain proportions as counts."""
    pair = safety_metrics(predictions.labels, predictions.predicted, banned)
    n_chats, n_banned = len(predictions), pair.n_banned
    n_right = int((predictions.labels == predictions.predicted).sum())
    return {
        "accuracy": Count(n=n_right, of=n_chats),
        "cross_category_error_rate": Count(n=pair.n_banned_to_safe + pair.n_safe_to_banned, of=n_chats),
        "banned_to_safe_rate": Count(n=pair.n_banned_to_safe, of=n_banned),
        "safe_to_banned_rate": Count(n=pair.n_safe_to_banned, of=n_chats - n_banned),
    }


def _differences(one: Measured, baseline: Measured, banned: Columns) -> list[Difference]:
    return differences(
        one.predictions,
        baseline.predictions,
        (one.per_draw, baseline.per_draw),
        banned=banned,
        names=(one.report.identity.name, baseline.report.identity.name),
    )


def _setting(test_set: TestSet) -> Setting:
    chats = test_set.chats
    return Setting(
        files=test_set.files,
        n_chats=len(chats),
        n_agreed=int(chats.agreed.sum()),
        n_banned=int(test_set.banned[chats.labels[chats.agreed]].sum()),
        n_rejected_by_reason=chats.rejected,
        policy=test_set.policy.model_dump(mode="json"),
        taxonomy=chats.taxonomy,
        n_resamples=test_set.options.n_resamples,
        seed=test_set.options.seed,
        machine=_machine(),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _machine() -> str:
    """Return processor, CPUs and load, without the machine's name."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):  # not Linux, or a processor without a name
        pass
    return f"{processor}, {os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.1f}"
