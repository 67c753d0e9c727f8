"""An output that an interrupted stage goes on with: appended files and a checkpoint that says how far they are good.

The checkpoint holds the sizes of both files and the source's cursor, and is replaced atomically. What was appended
after the last checkpoint is cut off on resume, so nothing is missing and nothing is there twice.

Invariant: the first `sizes` bytes of the files are the answer to all records before `cursor`.
"""

from collections import Counter
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel, ConfigDict, ValidationError

from training_pipeline.data.chat_rows import Reject, encode_row
from training_pipeline.data.stage_files import (
    StageReport,
    file_digest,
    part_path,
    rejects_path,
    report_path,
    write_report,
)

_RECORDS_PER_CHECKPOINT: Final = 1_000


class Checkpoint(BaseModel):
    """How far an interrupted stage came."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: dict[str, Any]
    """What is read, options included: another source starts afresh."""
    cursor: dict[str, int]
    sizes: dict[str, int]
    n_written: int
    n_rejected: dict[str, int]


def checkpoint_path(out: Path) -> Path:
    """Return where the checkpoint of an output is while the stage runs."""
    return out.with_suffix(".checkpoint.json")


def read_checkpoint(out: Path, source: dict[str, Any]) -> Checkpoint | None:
    """Return the checkpoint that an interrupted run over the same source left, if its files are still there."""
    try:
        found = Checkpoint.model_validate_json(checkpoint_path(out).read_bytes())
    except (OSError, ValidationError):
        return None
    whole = all(
        part_path(path).is_file() and part_path(path).stat().st_size >= found.sizes[path.name]
        for path in (out, rejects_path(out))
    )
    return found if whole and found.source == orjson.loads(orjson.dumps(source)) else None


class ResumableOutput:
    """Rows and rejects of a stage that may be interrupted.

    Args:
        out: The output, JSON lines.
        source: What is read; part of every checkpoint.
        checkpoint: Where to go on; None starts afresh.
    """

    def __init__(self, out: Path, source: dict[str, Any], checkpoint: Checkpoint | None) -> None:
        out.parent.mkdir(parents=True, exist_ok=True)
        self._out = out
        self._source = source
        self.cursor = dict(checkpoint.cursor) if checkpoint else {}
        self.n_written = checkpoint.n_written if checkpoint else 0
        self.n_rejected = Counter(checkpoint.n_rejected if checkpoint else {})
        self._n_unsaved = 0
        self._files = {}
        for path in (out, rejects_path(out)):
            file = part_path(path).open("r+b" if checkpoint else "w+b")
            file.truncate(checkpoint.sizes[path.name] if checkpoint else 0)
            file.seek(0, 2)
            self._files[path] = file

    def write(self, row: dict[str, Any]) -> None:
        """Add one row to the output."""
        self._files[self._out].write(encode_row(row))
        self.n_written += 1

    def reject(self, reject: Reject) -> None:
        """Add one row to the rejects."""
        self._files[rejects_path(self._out)].write(orjson.dumps(reject.model_dump(exclude_none=True)) + b"\n")
        self.n_rejected[reject.reason] += 1

    def done(self, place: str, position: int) -> None:
        """Say that the source is read up to and with `position` at `place`; saved every thousand records."""
        self.cursor[place] = position
        self._n_unsaved += 1
        if self._n_unsaved >= _RECORDS_PER_CHECKPOINT:
            self.save()

    def save(self) -> None:
        """Write the checkpoint."""
        for file in self._files.values():
            file.flush()
        checkpoint = Checkpoint(
            source=self._source,
            cursor=self.cursor,
            sizes={path.name: file.tell() for path, file in self._files.items()},
            n_written=self.n_written,
            n_rejected=dict(self.n_rejected),
        )
        path = checkpoint_path(self._out)
        part_path(path).write_text(checkpoint.model_dump_json(), encoding="utf-8")
        part_path(path).replace(path)
        self._n_unsaved = 0

    def close(self) -> None:
        """Close the files and leave them for a later run to go on with."""
        for file in self._files.values():
            file.close()

    def finish(self) -> None:
        """Give the files their final names; the checkpoint goes last."""
        self.close()
        report_path(self._out).unlink(missing_ok=True)
        for path in self._files:
            part_path(path).replace(path)
        checkpoint_path(self._out).unlink(missing_ok=True)

    def report(
        self, stage: str, inputs: dict[str, str], options: dict[str, Any], details: dict[str, Any] | None = None
    ) -> StageReport:
        """Write and return the report of a stage whose output is finished."""
        report = StageReport(
            stage=stage,
            inputs=inputs,
            options=options,
            outputs={path.name: file_digest(path) for path in (self._out, rejects_path(self._out))},
            n_written=self.n_written,
            n_rejected_by_reason=dict(sorted(self.n_rejected.items())),
            details=details or {},
        )
        write_report(self._out, report)
        return report
