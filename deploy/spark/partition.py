"""What runs on executors: batches of an archive in, outcomes out.

Invariant: a Python process builds one classifier and keeps it for all of its tasks. Nothing large travels with a task:
the bundle is read where the executor has it, and its digest must be the driver's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import pyarrow as pa
from pyspark import SparkFiles, TaskContext

from model import BundleError, Classifier, load_bundle
from model.backfill.archive_judge import ArchiveJudge
from model.backfill.columns import Columns
from model.backfill.input_files import relative_name
from model.backfill.outcome_table import outcome_batch
from model.backfill.policies import policy_set
from schemas import Policy

FILE: Final = "__input_file"
ROW: Final = "__input_row"
"""Columns beside those of the archive: where each row stands."""


@dataclass(frozen=True)
class Task:
    """What every task is told; a few kilobytes."""

    bundle: str
    """An absolute path on every machine, or the name of an archive (`--archives bundle.tar.gz#NAME`)."""
    bundle_digest: str
    policies: tuple[str, ...]
    """As JSON, the default policy first."""
    floor: tuple[str, ...]
    """Codes besides the taxonomy's floor."""
    columns: tuple[tuple[str, str], ...]
    """Field and column."""
    decided_at: datetime
    n_threads: int
    """Inference threads; 0: as many as a task has CPUs (`spark.task.cpus`)."""
    source: str
    """Path of the archive, without scheme and host; names of files are told from there."""


def judge_batches(task: Task, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield the outcomes of batches, in order.

    Args:
        task: What the driver asks for.
        batches: The columns of `task`, `FILE` and `ROW`.

    Raises:
        BundleError: the executor has another bundle than the driver, or none.
    """
    judge, columns = _judge(task), Columns(dict(task.columns))
    for batch in batches:
        paths = [unquote(urlsplit(address).path) for address in batch.column(FILE).to_pylist()]
        names = [relative_name(path, task.source) for path in paths]
        records = columns.records(batch, zip(names, batch.column(ROW).to_pylist(), strict=True))
        for outcomes in judge.outcomes(records):
            yield outcome_batch(outcomes)


@lru_cache(maxsize=1)
def _judge(task: Task) -> ArchiveJudge:
    bundle = load_bundle(located(task.bundle))
    if bundle.digest != task.bundle_digest:
        raise BundleError(
            f"{task.bundle}: the bundle on this machine is {bundle.digest[:19]}, the driver's is "
            f"{task.bundle_digest[:19]}; expected the same everywhere; ship it with --archives bundle.tar.gz#bundle"
        )
    context = TaskContext.get()
    n_threads = task.n_threads or (1 if context is None else context.cpus())
    rules = policy_set(bundle, list(map(Policy.model_validate_json, task.policies)), floor=frozenset(task.floor))
    classifier = Classifier(bundle, rules.default.policy, n_threads=n_threads)
    return ArchiveJudge(classifier, rules, task.decided_at)


def located(bundle: str) -> Path:
    """Return where a bundle is on this machine: at its absolute path, or unpacked from the archive of that name."""
    path = Path(bundle)
    return path if path.is_absolute() else Path(SparkFiles.get(bundle))
