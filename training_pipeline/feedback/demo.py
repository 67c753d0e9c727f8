"""Show what 200 corrections do, on chats that ship: to the kind of chat that was corrected, and to all others.

A head on the frozen encoder is fitted on a part of data/sample. It judges a part of data/border, whose chats sit near a
border on purpose and which it has never seen the like of. Its wrong verdicts are reported with the chats' labels, as
feedback; the reports go through the join like any others, and the head is fitted again with the rows that come of them.
Both heads are measured on the other part of data/border, and on the other part of data/sample.

Invariant: nothing that is measured on resembles anything that was learnt from (`split`), and no choice rests on it.
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


def run_demo(out: Path, options: DemoOptions) -> dict[str, Any]:
    """Run all of it; writes splits, reports, events, rows and both bundles, and returns the figures.

    Raises:
        DataError: the part that is reported on holds fewer wrong verdicts than corrections are asked for.
    """
    paths = _split(out, options)
    embedder = Embedder(shipped_encoder(), n_threads=options.n_threads)
    base, pool, of_kind, elsewhere = (_part(paths[name], embedder) for name in ("base", "pool", "kind", "elsewhere"))
    before = fit_head_on(base.vectors, base.chats.labels, len(CHAT_13.codes))
    wrong = np.flatnonzero(_predicted(before, pool) != pool.chats.labels)
    if len(wrong) < options.n_corrections:
        raise DataError(
            f"{options.kind}: {len(wrong)} of {len(pool.chats)} verdicts are wrong; expected at least "
            f"{options.n_corrections}; ask for fewer corrections"
        )
    rows = _through_feedback(pool, paths["pool"], wrong[: options.n_corrections], out)
    corrected = _part(rows, embedder)
    after = _fitted(base, corrected)
    # Whether it matters which chats of the kind are labelled: the same number, right or wrong.
    drawn = np.random.default_rng(options.seed).permutation(len(pool.chats))[: len(corrected.chats)]
    control = _fitted(base, _Part(pool.chats.take(drawn), pool.vectors[drawn]))
    _write(out / "before", before, base.chats.labels)
    _write(out / "after", after, np.concatenate([base.chats.labels, corrected.chats.labels]))
    parts = {"the corrected kind": of_kind, "elsewhere": elsewhere}
    return {
        "n_base": len(base.chats),
        "n_reported_on": len(pool.chats),
        "n_wrong": len(wrong),
        "n_reports": options.n_corrections,
        "n_rows": len(corrected.chats),
        "measured": [_compared(name, before, after, part) for name, part in parts.items()],
        "with_chats_drawn_at_random": [_compared(name, before, control, part) for name, part in parts.items()],
    }


def _split(out: Path, options: DemoOptions) -> dict[str, Path]:
    """Split both files; a chat of the kind that resembles an ordinary one is left out."""
    ordinary, kind = out / "ordinary", out / "kind"
    split([options.ordinary], ordinary, {"base": 0.7, "elsewhere": 0.3}, threshold=_RESEMBLANCE, seed=options.seed)
    split(
        [options.kind],
        kind,
        {"pool": 0.6, "kind": 0.4},
        threshold=_RESEMBLANCE,
        seed=options.seed,
        excluded=[options.ordinary],
    )
    return {
        "base": ordinary / "base.jsonl",
        "elsewhere": ordinary / "elsewhere.jsonl",
        "pool": kind / "pool.jsonl",
        "kind": kind / "kind.jsonl",
    }


def _part(path: Path, embedder: Embedder) -> _Part:
    chats = read_labelled_chats([path], Windowing(), frozenset(), CHAT_13)
    return _Part(chats, embedder.of_conversations(chats.conversations))


def _predicted(head: Head, part: _Part) -> NDArray[np.int64]:
    return head.logits(part.vectors).argmax(axis=1)


def _fitted(base: _Part, more: _Part) -> Head:
    vectors = np.concatenate([base.vectors, more.vectors])
    return fit_head_on(vectors, np.concatenate([base.chats.labels, more.chats.labels]), len(CHAT_13.codes))


def _through_feedback(pool: _Part, path: Path, wrong: NDArray[np.int64], out: Path) -> Path:
    """Report verdicts as wrong, join the reports with their events, and return the rows."""
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


def _compared(name: str, before: Head, after: Head, part: _Part) -> dict[str, Any]:
    """Return how many verdicts are right before and after, with exact intervals and the paired test."""
    labels, n = part.chats.labels, len(part.chats)
    was, now = (_predicted(head, part) == labels for head in (before, after))
    n_mended, n_broken = int((~was & now).sum()), int((was & ~now).sum())
    return {
        "part": name,
        "n": n,
        "accuracy_before": exact_interval(Count(n=int(was.sum()), of=n)).model_dump(),
        "accuracy_after": exact_interval(Count(n=int(now.sum()), of=n)).model_dump(),
        "n_mended": n_mended,
        "n_broken": n_broken,
        "difference": _difference(n_mended, n_broken, n),
        "p_value": round(mcnemar_p_value(n_broken, n_mended), 6),
    }


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
