"""Split labelled chats: every category keeps its share, and chats that resemble one another stay together.

Two chats are in one group where their windows are near-duplicates, where they open with the same words, or where they
have the same chat_id or thread; groups join transitively. A set that must stay unseen (an evaluation set) takes whole
groups with it: chats related to it are rejected. Chats may name their split themselves; of a group in two splits the
later split keeps its chats.

Invariant: no group has chats in two splits, and every chat ends in one split or in the rejects.
Source: the assignment is scikit-learn's StratifiedGroupKFold over twenty folds, of which each split takes its share.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.model_selection import StratifiedGroupKFold

from model.windowing import Windowing, render
from schemas import Role
from schemas.taxonomy import CHAT_13, Taxonomy
from training_pipeline.data.chat_rows import ChatRow, DropReason, Reject, read_chat_rows
from training_pipeline.data.errors import DataError
from training_pipeline.data.near_duplicates import NearDuplicateIndex, shingles
from training_pipeline.data.stage_files import (
    StageFiles,
    StageReport,
    digests,
    finished_report,
)

STAGE: Final = "split"
N_FOLDS: Final = 20
_MIN_OPENING_WORDS: Final = 5
"""Shorter openings ("hello, can you help?") are shared by chats that have nothing else in common."""

OnProgress = Callable[[int, int], None]


def folds_of(ratios: Mapping[str, float]) -> dict[str, int]:
    """Return how many of the twenty folds each split takes.

    Raises:
        DataError: the ratios are not positive multiples of 0.05 that sum to 1.
    """
    folds = {name: round(ratio * N_FOLDS) for name, ratio in ratios.items()}
    exact = all(abs(folds[name] / N_FOLDS - ratio) < 1e-9 and folds[name] > 0 for name, ratio in ratios.items())  # noqa: PLR2004
    if not exact or sum(folds.values()) != N_FOLDS:
        found = ", ".join(f"{name}={ratio}" for name, ratio in ratios.items())
        raise DataError(f"ratios are {found}; expected positive multiples of {1 / N_FOLDS} that sum to 1")
    return folds


def group_of(rows: Sequence[ChatRow], threshold: float, on_progress: OnProgress | None = None) -> NDArray[np.int64]:
    """Return int64 [n_chats], the group of each chat."""
    index = NearDuplicateIndex(threshold)
    first_with: dict[str, int] = {}
    pairs: list[tuple[int, int]] = []
    for i, row in enumerate(rows):
        window = render(row.turns, Windowing())
        similar = index.similar_then_add(i, shingles(_texts(window)), only_if_new=False)
        pairs += [(i, other) for other, _ in similar]
        keys = [f"id {row.chat_id}", f"window {window}"]
        if isinstance(thread := row.fields.get("thread"), str):
            keys.append(f"thread {thread}")
        if (opening := _opening(row)) is not None:
            keys.append(f"opening {opening}")
        pairs += [(i, first_with.setdefault(key, i)) for key in keys]
        if on_progress is not None:
            on_progress(i + 1, len(rows))
    one, other = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    links = coo_array((np.ones(len(pairs)), (one, other)), shape=(len(rows), len(rows)))
    _, groups = connected_components(links, directed=False)
    return groups.astype(np.int64)


def _texts(window: str) -> str:
    return "\n".join(line.partition(": ")[2] for line in window.split("\n"))


def _opening(row: ChatRow) -> str | None:
    first = next((turn.text for turn in row.turns if turn.role is Role.USER), None)
    words = (first or "").casefold().split()
    return " ".join(words) if len(words) >= _MIN_OPENING_WORDS else None


def assign(
    labels: NDArray[np.int64], groups: NDArray[np.int64], ratios: Mapping[str, float], *, seed: int
) -> list[str]:
    """Return the split of each chat.

    Args:
        labels: int64 [n_chats], category index.
        groups: int64 [n_chats].
        ratios: Split name to its share.
        seed: The same seed, labels and groups give the same splits.

    Raises:
        DataError: bad ratios, or fewer groups than folds.
    """
    folds = folds_of(ratios)
    n_groups = len(set(groups.tolist()))
    if n_groups < N_FOLDS:
        raise DataError(f"{n_groups} groups of chats; expected at least {N_FOLDS}; add chats or raise --threshold")
    names = [name for name, n_folds in folds.items() for _ in range(n_folds)]
    splits = [""] * len(labels)
    # Categories with fewer chats than folds cannot be in each fold; the splitter warns and spreads what it can.
    folder = StratifiedGroupKFold(n_splits=N_FOLDS, shuffle=True, random_state=seed)
    for name, (_, held_out) in zip(names, folder.split(labels, _capped(labels), groups), strict=True):
        for i in held_out:
            splits[i] = name
    return splits


def _capped(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return labels with the categories that are rarer than the folds made one, which the splitter insists on."""
    counts = np.bincount(labels)
    rare = counts < N_FOLDS
    return np.where(rare[labels], len(counts), labels)


def report_base(out: Path) -> Path:
    """Return the path that names the rejects (`splits.rejects.jsonl`) and the report (`splits.report.json`)."""
    return out / "splits"


def split(
    paths: Sequence[Path],
    out: Path,
    ratios: Mapping[str, float],
    *,
    threshold: float,
    seed: int,
    excluded: Sequence[Path] = (),
    taxonomy: Taxonomy = CHAT_13,
    by: str | None = None,
    on_progress: OnProgress | None = None,
) -> StageReport:
    """Run the stage: write `<split>.jsonl` per split, the rejects, and the report with each split's digest.

    Args:
        paths: Labelled chats.
        out: Folder to write.
        ratios: Split name to its share.
        threshold: Jaccard similarity that joins two chats.
        seed: The same seed, chats and ratios give the same splits.
        excluded: Chats to stay clear of.
        taxonomy: Of the categories.
        by: Field of the chats that names their split; then the shares and the seed decide nothing.
        on_progress: Called with chats done and all.

    Raises:
        DataError: a chat has no category or names no split, the ratios are wrong, or there are too few chats.
    """
    folds_of(ratios)
    base = report_base(out)
    inputs = digests([*paths, *excluded])
    options = {
        "ratios": dict(ratios),
        "threshold": threshold,
        "seed": seed,
        "n_excluded_files": len(excluded),
        "codes": taxonomy.codes,
    } | ({} if by is None else {"by": by})
    if finished := finished_report(base, STAGE, inputs, options):
        return finished
    with StageFiles(base, [out / f"{name}.jsonl" for name in ratios]) as files:
        rows = list(read_chat_rows(paths, files.reject))
        labels = np.array([_label(row, taxonomy) for row in rows], dtype=np.int64)
        unseen = list(read_chat_rows(excluded, lambda _: None))
        groups = group_of([*rows, *unseen], threshold, on_progress)
        kept = _unrelated(rows, groups, files)
        if by is None:
            names = assign(labels[kept], groups[kept], ratios, seed=seed)
        else:
            kept, names = _named(rows, groups, kept, files, by=by, splits=list(ratios))
        for i, name in zip(kept, names, strict=True):
            files.write(rows[i].fields, out / f"{name}.jsonl")
    details = _details(names, [taxonomy.codes[i] for i in labels[kept]], groups[kept], ratios)
    return files.report(STAGE, inputs, options, details, n_written=len(kept))


def _label(row: ChatRow, taxonomy: Taxonomy) -> int:
    category = row.fields.get("category")
    if category not in taxonomy.codes:
        raise DataError(
            f"{row.position}: no category of the taxonomy {taxonomy.ref}; expected labelled chats as `agree` writes"
        )
    return taxonomy.columns[category]


def _unrelated(rows: Sequence[ChatRow], groups: NDArray[np.int64], files: StageFiles) -> NDArray[np.int64]:
    """Reject the chats that share a group with an excluded one; return the positions of the others.

    Args:
        rows: The chats to split.
        groups: Of these chats, then of the excluded ones.
        files: Takes the rejects.
    """
    taken = np.isin(groups[: len(rows)], groups[len(rows) :])
    for i in np.flatnonzero(taken).tolist():
        files.reject(_related(rows[i]))
    return np.flatnonzero(~taken)


def _named(
    rows: Sequence[ChatRow],
    groups: NDArray[np.int64],
    positions: NDArray[np.int64],
    files: StageFiles,
    *,
    by: str,
    splits: Sequence[str],
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the positions that stay and their splits, as the chats name them.

    Raises:
        DataError: a chat names none of the splits, or a split gets no chat.
    """
    for i in positions.tolist():
        if (found := rows[i].fields.get(by)) not in splits:
            raise DataError(f"{rows[i].position}: {by} is {found!r}; expected one of {', '.join(splits)}")
    rank = np.array([splits.index(rows[i].fields[by]) for i in positions], dtype=np.int64)
    highest = np.zeros(groups.max(initial=0) + 1, dtype=np.int64)
    np.maximum.at(highest, groups[positions], rank)
    stays = rank == highest[groups[positions]]
    for i in positions[~stays].tolist():
        files.reject(_related(rows[i], f"resembles a chat whose {by} is {splits[highest[groups[i]]]}"))
    if empty := [name for i, name in enumerate(splits) if not (rank[stays] == i).any()]:
        raise DataError(f"no chat whose {by} is {', '.join(empty)}; expected some of each; name other splits")
    return positions[stays], [splits[i] for i in rank[stays]]


def _related(row: ChatRow, error: str = "resembles a chat of an excluded file") -> Reject:
    return Reject(position=row.position, reason=DropReason.RELATED_TO_EXCLUDED.value, error=error, chat_id=row.chat_id)


def _details(
    names: Sequence[str], codes: Sequence[str], groups: NDArray[np.int64], ratios: Mapping[str, float]
) -> dict[str, Any]:
    sizes = np.unique(groups, return_counts=True)[1]
    counts = {name: Counter(code for code, split in zip(codes, names, strict=True) if split == name) for name in ratios}
    return {
        "n_groups": len(sizes),
        "n_chats_in_largest_group": int(sizes.max()),
        "splits": {
            name: {"n_chats": found.total(), "n_chats_by_category": dict(sorted(found.items()))}
            for name, found in counts.items()
        },
    }
