"""What a stage writes: an output, its rejects and a report, complete or not at all.

Everything goes to `.part` files that are renamed when the stage has finished, the report last: a report that names the
digests of inputs, options and output therefore proves that the stage need not run again.

Invariant: an output file under its final name is complete.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from io import BufferedWriter
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training_pipeline.data.chat_rows import Reject, encode_row
from training_pipeline.data.errors import DataError


class StageReport(BaseModel):
    """What one finished stage did; written beside its output as `<name>.report.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    inputs: dict[str, str] = Field(description="File name to digest.")
    options: dict[str, Any]
    outputs: dict[str, str] = Field(description="File name to digest.")
    n_written: int = Field(ge=0)
    n_rejected_by_reason: dict[str, int]
    details: dict[str, Any] = Field(default_factory=dict)


def rejects_path(out: Path) -> Path:
    """Return where the rejects of an output go."""
    return out.with_suffix(".rejects.jsonl")


def report_path(out: Path) -> Path:
    """Return where the report of an output goes."""
    return out.with_suffix(".report.json")


def part_path(path: Path) -> Path:
    """Return the name of a file that is not complete yet."""
    return path.with_name(path.name + ".part")


def file_digest(path: Path) -> str:
    """Return the sha256 digest of a file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); expected a file of the stage before") from error


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """Return the digest of each file; two files of one name are told apart by a number."""
    return {f"{i}:{path.name}": file_digest(path) for i, path in enumerate(paths)}


class StageFiles:
    """Outputs and rejects of one stage; a context manager that keeps them only where the stage ends well.

    Args:
        out: Names the rejects and the report; the output that rows go to by default.
        outputs: All outputs, JSON lines; by default `out` alone.
    """

    def __init__(self, out: Path, outputs: Sequence[Path] = ()) -> None:
        self._out = out
        self.paths = [*(outputs or [out]), rejects_path(out)]
        self.n_written = 0
        self.n_rejected: Counter[str] = Counter()
        self._open: dict[Path, BufferedWriter] = {}

    def __enter__(self) -> Self:
        self._out.parent.mkdir(parents=True, exist_ok=True)
        for path in self.paths:
            self._open[path] = part_path(path).open("wb")
        return self

    def write(self, row: dict[str, Any], to: Path | None = None) -> None:
        """Add one row to an output; only rows of the default one count as written."""
        self._open[to or self._out].write(encode_row(row))
        self.n_written += to is None

    def reject(self, reject: Reject) -> None:
        """Add one row to the rejects."""
        self._open[rejects_path(self._out)].write(orjson.dumps(reject.model_dump(exclude_none=True)) + b"\n")
        self.n_rejected[reject.reason] += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            report_path(self._out).unlink(missing_ok=True)
        for path, file in self._open.items():
            file.close()
            if kind is None:
                part_path(path).replace(path)
            else:
                part_path(path).unlink(missing_ok=True)

    def report(
        self,
        stage: str,
        inputs: dict[str, str],
        options: dict[str, Any],
        details: dict[str, Any],
        *,
        n_written: int | None = None,
    ) -> StageReport:
        """Write and return the report of a stage whose files are closed.

        Args:
            stage: Its name.
            inputs: File name to digest.
            options: What decided the outputs.
            details: The stage's own figures.
            n_written: Rows of all outputs together; the default output's where None.
        """
        report = StageReport(
            stage=stage,
            inputs=inputs,
            options=options,
            outputs={path.name: file_digest(path) for path in self.paths},
            n_written=self.n_written if n_written is None else n_written,
            n_rejected_by_reason=dict(sorted(self.n_rejected.items())),
            details=details,
        )
        write_report(self._out, report)
        return report


def write_report(out: Path, report: StageReport) -> None:
    """Write a stage's report, last of all its files."""
    document = orjson.dumps(report.model_dump(), option=orjson.OPT_INDENT_2)
    part = part_path(report_path(out))
    part.write_bytes(document + b"\n")
    part.replace(report_path(out))


def finished_report(out: Path, stage: str, inputs: dict[str, str], options: dict[str, Any]) -> StageReport | None:
    """Return the report of an earlier run over the same inputs and options whose outputs are still there."""
    try:
        report = StageReport.model_validate_json(report_path(out).read_bytes())
        same = (report.stage, report.inputs, report.options) == (stage, inputs, orjson.loads(orjson.dumps(options)))
        kept = all(file_digest(out.with_name(name)) == digest for name, digest in report.outputs.items())
    except (OSError, ValidationError, DataError):
        return None
    return report if same and kept else None
