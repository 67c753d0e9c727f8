"""Show what 200 corrections do, on chats that ship: to the kind of chat that was corrected, and to all others.

A head on the frozen encoder is fitted on a part of data/sample. It judges one half of data/border, whose chats sit near
a border on purpose and which it has never seen the like of. Its wrong verdicts are reported with the chats' labels, as
feedback; the reports go through the join like any others, and the head is fitted again with the rows that come of them.
Both heads are measured on the other half of data/border, and on the other part of data/sample. Then the halves change
places, so that each chat of the kind is measured on once.

Invariant: nothing that a head is measured on resembles anything that it learnt from (`split`), and no choice rests on
it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy.stats import binomtest

from model.bundle.files import write_folder
from model.bundle.manifest import MANIFEST_NAME
from model.calibration import FloatArray
from model.described.embedding import Embedder
from model.described.frozen_encoder import shipped_encoder
from model.described.head import Head
from model.windowing import Windowing
from schemas import CHAT_13, Feedback, Source, encode_feedback, turns_fingerprint
from schemas.identity import verdict_id
from training_pipeline.chats.labelled_chats import LabelledChats, read_labelled_chats
from training_pipeline.data.errors import DataError
from training_pipeline.data.grouped_split import split
from training_pipeline.feedback.head_fit import bundle_files, fit_head_on
from training_pipeline.feedback.sources import FeedbackSources, joined
from training_pipeline.feedback.stage import FeedbackOptions, write_rows
from training_pipeline.report.document import Count
from training_pipeline.report.exact import CONFIDENCE, exact_interval
from training_pipeline.report.paired import mcnemar_p_value

TOPIC: Final = "chat-events"
_HALVES: Final = ("one-half", "other-half")
_RESEMBLANCE: Final = 0.6
"""Jaccard similarity from which two chats are on one side of a split, as by `split`'s default."""
_REPORTED_AT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_REPORTERS: Final = 5


@dataclass(frozen=True)
class DemoOptions:
    """What is learnt from what."""

    ordinary: Path = Path("data/sample/chats.jsonl")
    kind: Path = Path("data/border/chats.jsonl")
    n_corrections: int = 200
    seed: int = 0
    n_threads: int = 1


@dataclass(frozen=True)
class _Part:
    """Chats and their vectors."""

    chats: LabelledChats
    vectors: FloatArray
    """float32 [n_chats, n_dimensions]."""


@dataclass(frozen=True)
class _Outcome:
    """Whether each verdict is right, before and after. bool [n_chats]."""

    before: NDArray[np.bool_]
    after: NDArray[np.bool_]

    def beside(self, other: "_Outcome") -> "_Outcome":
        """Return both, of different chats."""
        return _Outcome(np.concatenate([self.before, other.before]), np.concatenate([self.after, other.after]))

    def figures(self, name: str) -> dict[str, Any]:
        """Return how many are right, with exact intervals and the paired test."""
        n, was, now = len(self.before), int(self.before.sum()), int(self.after.sum())
        n_mended, n_broken = int((~self.before & self.after).sum()), int((self.before & ~self.after).sum())
        return {
            "measured_on": name,
            "n": n,
            "accuracy_before": exact_interval(Count(n=was, of=n)).model_dump(),
            "accuracy_after": exact_interval(Count(n=now, of=n)).model_dump(),
            "n_mended": n_mended,
            "n_broken": n_broken,
            "difference": _difference(n_mended, n_broken, n),
            "p_value": round(mcnemar_p_value(n_broken, n_mended), 6),
        }


def run_demo(out: Path, options: DemoOptions) -> dict[str, Any]:
    """Run all of it; writes splits, reports, events, rows and bundles, and returns the figures.

    Raises:
        DataError: a half that is reported on holds fewer wrong verdicts than corrections are asked for.
    """
    paths = _split(out, options)
    embed = _Vectors(out / "vectors.npz", n_threads=options.n_threads)
    base, elsewhere, *halves = (_part(paths[name], embed) for name in ("base", "elsewhere", *_HALVES))
    before = fit_head_on(base.vectors, base.chats.labels, len(CHAT_13.codes))
    _write(out / "before", before, base.chats.labels)
    counts, corrected, control = [], [], []
    for name, pool, other in zip(_HALVES, halves, reversed(halves), strict=True):
        folder = out / f"corrected-by-{name}"
        wrong = np.flatnonzero(_predicted(before, pool) != pool.chats.labels)
        if len(wrong) < options.n_corrections:
            raise DataError(
                f"{options.kind}: {len(wrong)} of {len(pool.chats)} verdicts are wrong; expected at least "
                f"{options.n_corrections}; ask for fewer corrections"
            )
        rows = _part(_through_feedback(pool, paths[name], wrong[: options.n_corrections], folder), embed)
        after = _fitted(base, rows)
        _write(folder / "bundle", after, np.concatenate([base.chats.labels, rows.chats.labels]))
        corrected.append((_outcome(before, after, other), _outcome(before, after, elsewhere)))
        # Whether it matters which chats of the kind are labelled: as many, be their verdicts right or wrong.
        drawn = np.random.default_rng(options.seed).permutation(len(pool.chats))[: len(rows.chats)]
        any_after = _fitted(base, _Part(pool.chats.take(drawn), pool.vectors[drawn]))
        control.append((_outcome(before, any_after, other), _outcome(before, any_after, elsewhere)))
        counts.append(
            {"n_verdicts": len(pool.chats), "n_wrong": len(wrong), "n_reports": options.n_corrections}
            | {"n_rows": len(rows.chats)}
        )
    return {
        "n_base": len(base.chats),
        "reported": dict(zip(_HALVES, counts, strict=True)),
        "corrections": _measured(corrected),
        "as_many_at_random": _measured(control),
    }


def _measured(outcomes: Sequence[tuple[_Outcome, _Outcome]]) -> list[dict[str, Any]]:
    """Return the figures on the kind, both halves together, and elsewhere, for each bundle."""
    (first, first_elsewhere), (second, second_elsewhere) = outcomes
    return [
        first.beside(second).figures("the corrected kind"),
        first_elsewhere.figures("elsewhere, corrected by one half"),
        second_elsewhere.figures("elsewhere, by the other"),
    ]


def _split(out: Path, options: DemoOptions) -> dict[str, Path]:
    """Split both files; a chat of the kind that resembles an ordinary one is left out."""
    ordinary, kind = out / "ordinary", out / "kind"
    ratios, halves = {"base": 0.7, "elsewhere": 0.3}, dict.fromkeys(_HALVES, 0.5)
    split([options.ordinary], ordinary, ratios, threshold=_RESEMBLANCE, seed=options.seed)
    excluded = [options.ordinary]
    split([options.kind], kind, halves, threshold=_RESEMBLANCE, seed=options.seed, excluded=excluded)
    return {name: ordinary / f"{name}.jsonl" for name in ratios} | {name: kind / f"{name}.jsonl" for name in halves}


class _Vectors:
    """Embeds chats, each text once: what was embedded is kept in a file.

    Args:
        path: The file.
        n_threads: Inference threads.
    """

    def __init__(self, path: Path, *, n_threads: int) -> None:
        encoder = shipped_encoder()
        self._path = path
        self._embedder = Embedder(encoder, n_threads=n_threads)
        self._encoder = encoder.digest
        self._known: dict[str, FloatArray] = {}
        if path.is_file():
            with np.load(path, allow_pickle=False) as kept:
                if str(kept["encoder"]) == self._encoder:
                    self._known = dict(zip(kept["fingerprints"].tolist(), kept["vectors"], strict=True))

    def __call__(self, chats: LabelledChats) -> FloatArray:
        """Return unit vectors, float32 [n_chats, n_dimensions]."""
        prints = [turns_fingerprint(turns) for turns in chats.conversations]
        missing = {
            fingerprint: turns
            for fingerprint, turns in zip(prints, chats.conversations, strict=True)
            if fingerprint not in self._known
        }
        if missing:
            found = self._embedder.of_conversations(list(missing.values()))
            self._known.update(zip(missing, found, strict=True))
            names, vectors = list(self._known), np.stack(list(self._known.values()))
            np.savez(self._path, encoder=self._encoder, fingerprints=names, vectors=vectors)
        return np.stack([self._known[fingerprint] for fingerprint in prints])


def _part(path: Path, embed: _Vectors) -> _Part:
    chats = read_labelled_chats([path], Windowing(), frozenset(), CHAT_13)
    return _Part(chats, embed(chats))


def _predicted(head: Head, part: _Part) -> NDArray[np.int64]:
    return head.logits(part.vectors).argmax(axis=1)


def _fitted(base: _Part, more: _Part) -> Head:
    vectors = np.concatenate([base.vectors, more.vectors])
    return fit_head_on(vectors, np.concatenate([base.chats.labels, more.chats.labels]), len(CHAT_13.codes))


def _through_feedback(pool: _Part, path: Path, wrong: NDArray[np.int64], out: Path) -> Path:
    """Report verdicts as wrong, join the reports with their events, and return the rows."""
    out.mkdir(parents=True, exist_ok=True)
    events, reports, rows = out / "events.jsonl", out / "reports.jsonl", out / "rows.jsonl"
    events.write_bytes(b"\n".join(_records(path)) + b"\n")
    reports.write_bytes(b"\n".join(encode_feedback(_report(pool.chats, i)) for i in wrong.tolist()) + b"\n")
    sources = FeedbackSources(reports_file=reports, events_file=events, events_topics=[TOPIC])
    write_rows(joined(sources, CHAT_13), rows, FeedbackOptions())
    return rows


def _records(path: Path) -> Sequence[bytes]:
    """Return the chats as records of a topic, without their labels."""
    rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    events = [{"chat_id": row["chat_id"], "messages": row["messages"]} for row in rows]
    return [
        orjson.dumps({"topic": TOPIC, "partition": 0, "offset": i, "payload": orjson.dumps(event).decode()})
        for i, event in enumerate(events)
    ]


def _report(chats: LabelledChats, i: int) -> Feedback:
    """Return the report that the chat's label is what would have been right."""
    chat_id, fingerprint = chats.chat_ids[i], turns_fingerprint(chats.conversations[i])
    return Feedback(
        verdict_id=verdict_id(
            chat_id=chat_id, fingerprint=fingerprint, model_digest="before", rules_version="1", policies_digest=""
        ),
        source=Source(topic=TOPIC, partition=0, offset=i, timestamp_ms=i),
        fingerprint=fingerprint,
        taxonomy=CHAT_13.ref,
        category=CHAT_13.codes[chats.labels[i]],
        reporter=f"reporter-{i % _REPORTERS}",
        reported_at=_REPORTED_AT + timedelta(minutes=i),
    )


def _write(folder: Path, head: Head, labels: NDArray[np.int64]) -> None:
    write_folder(folder, bundle_files(head, CHAT_13, labels), marker=MANIFEST_NAME)


def _outcome(before: Head, after: Head, part: _Part) -> _Outcome:
    labels = part.chats.labels
    return _Outcome(_predicted(before, part) == labels, _predicted(after, part) == labels)


def _difference(n_mended: int, n_broken: int, n: int) -> dict[str, float]:
    """Return the change of accuracy with its exact interval, given how many verdicts changed between right and wrong.

    Of these the share that was mended is binomial; its Clopper-Pearson interval gives that of the change.
    """
    changed = n_mended + n_broken
    low = high = 0.0
    if changed:
        bounds = binomtest(n_mended, changed).proportion_ci(CONFIDENCE, method="exact")
        low, high = ((2 * bound - 1) * changed / n for bound in (bounds.low, bounds.high))
    return {"value": round((n_mended - n_broken) / n, 4), "low": round(low, 4), "high": round(high, 4)}
