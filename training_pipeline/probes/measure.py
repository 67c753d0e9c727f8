"""Ask a bundle about every case, through the classes that serve it, and count.

Invariant: a case that the bundle cannot answer is an error, never left out of a count.
"""

import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from model.classifier import Classifier
from schemas import CHAT_13, Decision, Turn
from training_pipeline.probes.build import Case, all_cases
from training_pipeline.probes.document import IdentityGap, IdentityRow, ProbeReport, Row, Table
from training_pipeline.probes.filler import Filler, filler_beside, read_filler
from training_pipeline.probes.identity import Counterfactual, in_templates, inserted
from training_pipeline.probes.probe import ProbeSet, Split, read_probes
from training_pipeline.quality.evaluate import OnProgress, classify_all
from training_pipeline.report.candidate import BundleCandidate
from training_pipeline.report.document import Count
from training_pipeline.report.exact import exact_interval

Decisions = NDArray[np.str_]

_GROUPS: Final = ("M", "D, J", "safe")


def measure_folder(
    classifier: Classifier,
    folder: Path,
    filler: Path | None = None,
    *,
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> ProbeReport:
    """Measure a bundle on the side `measure` of a folder of probes.

    Args:
        classifier: The bundle under a policy.
        folder: Of probes, such as data/probes.
        filler: Labelled chats; None takes those beside the folder.
        seed: Decides places, fillers and disguises.
        on_progress: Called with the number of cases that are done.

    Raises:
        ValueError: the folder or the filler is refused, the bundle is of other categories, or the model failed on a
            case.
    """
    taxonomy = classifier.bundle.taxonomy
    if taxonomy.codes != CHAT_13.codes:
        raise ValueError(
            f"{folder}: the probes are of taxonomy {CHAT_13.ref}, the bundle is of {taxonomy.ref}; expected a bundle "
            "of the same categories; leave --probes out"
        )
    probes = read_probes(folder).of("measure")
    counts = {side: sum(words.side == side for words in probes.words) for side in ("identity", "neutral")}
    if not (probes.templates and all(counts.values())):
        raise ValueError(
            f"{folder}: {len(probes.templates)} templates, {counts['identity']} identities and {counts['neutral']} "
            "neutral words on the side `measure`; expected some of each, or there is no gap to measure"
        )
    text = read_filler(filler or filler_beside(folder), "measure")
    return measure_probes(classifier, probes, text, seed=seed, on_progress=on_progress)


def measure_probes(
    classifier: Classifier,
    probes: ProbeSet,
    filler: Filler,
    *,
    split: Split = "measure",
    seed: int = 0,
    on_progress: OnProgress | None = None,
) -> ProbeReport:
    """Measure a bundle.

    Args:
        classifier: The bundle under a policy.
        probes: Probes of one split.
        filler: Safe text of the same split.
        split: Which one, for the record.
        seed: Decides places, fillers and disguises.
        on_progress: Called with the number of cases that are done.

    Raises:
        ValueError: the model failed on a case.
    """
    started = time.perf_counter()
    cases = all_cases(probes, filler, seed)
    people = [*in_templates(probes.templates, probes.words), *inserted(filler.chats, probes.words)]
    decisions = _decisions(classifier, [*cases, *people], on_progress)
    return ProbeReport(
        identity=BundleCandidate(classifier, n_threads=1).identity,
        policy=classifier.policy.model_dump(mode="json"),
        split=split,
        seed=seed,
        n_cases=len(decisions),
        seconds=round(time.perf_counter() - started, 1),
        tables=tables(cases, decisions[: len(cases)]),
        gaps=gaps(people, decisions[len(cases) :]),
    )


def tables(cases: Sequence[Case], decisions: Decisions) -> list[Table]:
    """Return the counts of every family along each of its axes; rows in the order of the cases."""
    counted: dict[tuple[str, str], dict[tuple[str, str], list[str]]] = {}
    for case, decision in zip(cases, decisions, strict=True):
        for axis, name in case.labels.items():
            rows = counted.setdefault((case.family, axis), {})
            rows.setdefault((name, case.group), []).append(str(decision))
    found = []
    for (family, axis), rows in counted.items():
        names = list(dict.fromkeys(name for name, _ in rows))
        keys = [(name, group) for group in _GROUPS for name in names if (name, group) in rows]
        found.append(
            Table(family=family, axis=axis, rows=[_row(name, group, rows[name, group]) for name, group in keys])
        )
    return found


def gaps(people: Sequence[Counterfactual], decisions: Decisions) -> list[IdentityGap]:
    """Return the identity gaps, those of templates and those of inserted sentences apart."""
    allowed = decisions == Decision.ALLOW.value
    found = []
    for where in dict.fromkeys(one.where for one in people):
        chosen = np.array([one.where == where for one in people])
        found.append(_gap([one for one in people if one.where == where], allowed[chosen]))
    return found


def _gap(people: Sequence[Counterfactual], allowed: NDArray[np.bool_]) -> IdentityGap:
    by_side = {
        side: _count(allowed[np.array([one.words.side == side for one in people])]) for side in ("identity", "neutral")
    }
    rows = []
    for words in dict.fromkeys(one.words for one in people):
        count = _count(allowed[np.array([one.words == words for one in people])])
        gap = round(by_side["neutral"].rate - count.rate, 4)
        rows.append(
            IdentityRow(words=words.words, side=words.side, allowed=count, allowed_rate=exact_interval(count), gap=gap)
        )
    worst = max((row for row in rows if row.side == "identity"), key=lambda row: abs(row.gap))
    return IdentityGap(
        where=people[0].where,
        n_bases=len({one.base_id for one in people}),
        identities=by_side["identity"],
        neutral=by_side["neutral"],
        largest_gap=worst.gap,
        largest_gap_words=worst.words,
        largest_neutral_gap=max((row.gap for row in rows if row.side == "neutral"), key=abs),
        rows=sorted(rows, key=lambda row: (row.side, -row.gap, row.words)),
    )


def _decisions(
    classifier: Classifier, cases: Sequence[Case | Counterfactual], on_progress: OnProgress | None
) -> Decisions:
    turns: list[list[Turn]] = [case.turns for case in cases]
    results = classify_all(classifier, turns, [case.case_id for case in cases], on_progress)
    return np.array([result.judgement.decision.value for result in results])


def _row(name: str, group: str, decisions: Sequence[str]) -> Row:
    found = np.array(decisions)
    not_allowed, blocked = _count(found != Decision.ALLOW.value), _count(found == Decision.BLOCK.value)
    return Row(
        name=name,
        group=group,
        not_allowed=not_allowed,
        not_allowed_rate=exact_interval(not_allowed),
        blocked=blocked,
        blocked_rate=exact_interval(blocked),
    )


def _count(event: Iterable[np.bool_] | NDArray[np.bool_]) -> Count:
    events = np.asarray(event, dtype=np.bool_)
    return Count(n=int(events.sum()), of=len(events))
