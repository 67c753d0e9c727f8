"""The folder that a run writes: whole parts, the plan that they follow, the account of each, at last the manifest.

    _run.json          the plan; written first
    _parts.jsonl       a line for each part that is there
    part-….parquet     the outcomes
    _manifest.json     plan, parts and sums; written last

Readers of Parquet folders pass over names with an underscore. A part is written under such a name, and renamed when
all of it is on the disk. So the folder can be read at any time.

Invariant: a part that has a line is whole. One that has none is written again, with the same rows.
"""

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pyarrow as pa
from pyarrow import parquet
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from model.backfill.archive_judge import Outcome
from model.backfill.errors import BackfillRefused
from model.backfill.outcome_table import outcome_batch, outcome_schema
from model.backfill.run_plan import RUN_FORMAT, Part, RunPlan

_PLAN: Final = "_run.json"
_PARTS: Final = "_parts.jsonl"
MANIFEST: Final = "_manifest.json"
_ROW_GROUP_BYTES: Final = 32_000_000
"""Outcomes that are held before they are written."""


class Counts(BaseModel):
    """How rows ended."""

    model_config = ConfigDict(extra="forbid")

    n_rows: int = 0
    n_verdicts: int = 0
    rejected: Counter[str] = Field(default_factory=Counter)
    """By reason."""
    decisions: dict[str, Counter[str]] = Field(default_factory=dict)
    """By policy and decision."""

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Count rows."""
        for outcome in outcomes:
            self.n_rows += 1
            if (reason := outcome.get("rejected")) is not None:
                self.rejected[reason] += 1
                continue
            self.n_verdicts += 1
            for name, one in outcome["decisions"].items():
                self.decisions.setdefault(name, Counter())[one["decision"]] += 1

    def merge(self, other: "Counts") -> None:
        """Add the counts of other rows."""
        self.n_rows += other.n_rows
        self.n_verdicts += other.n_verdicts
        self.rejected += other.rejected
        for name, decisions in other.decisions.items():
            self.decisions[name] = self.decisions.get(name, Counter()) + decisions


class WrittenPart(BaseModel):
    """A part that is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    n_bytes: int
    digest: str
    counts: Counts


class Manifest(BaseModel):
    """A run that is complete."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run: RunPlan
    counts: Counts
    parts: tuple[WrittenPart, ...]
    finished_at: datetime


class OutputFolder:
    """The folder of one run, held against other processes while the `with` block lasts.

    Args:
        path: Where it is; made where it is missing.
        plan: What is to be judged.

    Raises (from `with`):
        BackfillRefused: it holds something else, another run, or a run in progress; or it cannot be written.
    """

    def __init__(self, path: Path, plan: RunPlan) -> None:
        self.path = path
        self.plan = plan
        self._written: dict[str, WrittenPart] = {}

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY)
        except OSError as error:
            raise BackfillRefused(
                f"{self.path}: cannot be made a folder ({error.strerror}); expected a local folder that may be written"
            ) from error
        try:
            self._hold()
            self._begin()
        except BaseException:
            os.close(self._lock)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._lock)

    @property
    def counts(self) -> Counts:
        """How the rows of all written parts ended."""
        total = Counts()
        for part in self._written.values():
            total.merge(part.counts)
        return total

    def missing(self) -> list[Part]:
        """Return the parts that are still to be judged, in order."""
        return [part for part in self.plan.parts() if part.name not in self._written]

    @contextmanager
    def part(self, part: Part) -> Iterator["PartWriter"]:
        """Write one part: whole when the block ends, not there where it fails, as on a full disk (BackfillRefused)."""
        staged = self.path / f"_{part.name}.new"
        with PartWriter(staged) as writer:
            yield writer
        with _storing(self.path):
            digest, n_bytes = _synced(staged)
            staged.replace(self.path / part.name)
            os.fsync(self._lock)
            written = WrittenPart(name=part.name, n_bytes=n_bytes, digest=digest, counts=writer.counts)
            with (self.path / _PARTS).open("ab") as lines:
                lines.write(_line(written))
                lines.flush()
                os.fsync(lines.fileno())
        self._written[part.name] = written

    def finish(self) -> Manifest:
        """Write the manifest of a run of which no part is missing, and return it."""
        parts = tuple(self._written[part.name] for part in self.plan.parts())
        manifest = Manifest(run=self.plan, counts=self.counts, parts=parts, finished_at=datetime.now(UTC))
        self._write_whole(MANIFEST, manifest.model_dump_json(indent=1).encode() + b"\n")
        return manifest

    def _hold(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackfillRefused(
                f"{self.path}: another process writes it; expected one at a time; wait for it, or name another folder"
            ) from None

    def _begin(self) -> None:
        path = self.path / _PLAN
        for left in self.path.glob("_*.new"):
            left.unlink()
        if not path.exists():
            if others := sorted(one.name for one in self.path.iterdir()):
                raise BackfillRefused(
                    f"{self.path}: holds {others[0]} and no {_PLAN}; expected an empty folder or one of an earlier "
                    "run; name another folder"
                )
            self._write_whole(_PLAN, self.plan.model_dump_json(indent=1).encode() + b"\n")
            return
        begun = _read_plan(path)
        if differences := self.plan.differences(begun):
            raise BackfillRefused(
                f"{self.path}: was begun by another run: {'; '.join(differences)}; expected the same input, bundle, "
                "policies and options; give them again, or name another folder"
            )
        self.plan = self.plan.at(begun.decided_at)
        self._written = {part.name: part for part in _whole_parts(self.path)}
        # Without a line that was cut off, to which the next one would be added.
        self._write_whole(_PARTS, b"".join(map(_line, self._written.values())))

    def _write_whole(self, name: str, content: bytes) -> None:
        with _storing(self.path):
            staged = self.path / f"{name}.new"
            staged.write_bytes(content)
            _synced(staged)
            staged.replace(self.path / name)
            os.fsync(self._lock)


class PartWriter:
    """The outcomes of one part, in the order in which they are written."""

    def __init__(self, path: Path) -> None:
        self.counts = Counts()
        self._path = path
        self._batches: list[pa.RecordBatch] = []
        self._n_bytes = 0

    def __enter__(self) -> Self:
        with _storing(self._path):
            self._writer = parquet.ParquetWriter(self._path, outcome_schema(), compression="zstd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._drop()
            return
        try:
            with _storing(self._path):
                self._write_group()
                self._writer.close()
        except BackfillRefused:
            self._drop()
            raise

    def _drop(self) -> None:
        """Leave nothing of a part that is not whole, so that a full disk has its room back."""
        for end in (self._writer.close, self._path.unlink):
            with suppress(OSError):
                end()

    def write(self, outcomes: list[Outcome]) -> None:
        """Add rows."""
        self.counts.add(outcomes)
        batch = outcome_batch(outcomes)
        self._batches.append(batch)
        self._n_bytes += batch.nbytes
        if self._n_bytes > _ROW_GROUP_BYTES:
            with _storing(self._path):
                self._write_group()

    def _write_group(self) -> None:
        self._writer.write_table(pa.Table.from_batches(self._batches, schema=outcome_schema()))
        self._batches, self._n_bytes = [], 0


@contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a refusal of the run."""
    try:
        yield
    except OSError as error:
        raise BackfillRefused(
            f"{path}: cannot be written ({error}); expected room on the disk and the right to write; mend that and run "
            "the same command again, which keeps the parts that are there"
        ) from error


def _read_plan(path: Path) -> RunPlan:
    content = path.read_bytes()
    try:
        return RunPlan.model_validate_json(content)
    except ValidationError as error:
        raise BackfillRefused(
            f"{path}: is no plan of format {RUN_FORMAT} ({error.error_count()} faults); another release wrote it, or "
            "it is damaged; go on with that release, or name another folder"
        ) from error


def _line(part: WrittenPart) -> bytes:
    return part.model_dump_json().encode() + b"\n"


def _whole_parts(folder: Path) -> Iterator[WrittenPart]:
    """Yield the parts that are there as their lines say; the last line may have been cut off."""
    path = folder / _PARTS
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for line in lines:
        try:
            part = WrittenPart.model_validate_json(line)
            n_bytes = (folder / part.name).stat().st_size
        except (ValidationError, FileNotFoundError):
            continue
        if n_bytes == part.n_bytes:
            yield part


def _synced(path: Path) -> tuple[str, int]:
    """Return digest and size of a file, all of which is on the disk then."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return f"sha256:{digest}", file.tell()
