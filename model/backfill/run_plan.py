"""What a run judges, cut into parts, and whether it is the run that an output folder was begun with. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from pydantic import AwareDatetime, BaseModel, ConfigDict

from model.backfill.input_files import InputFile

RUN_FORMAT: Final = 1


class Part(NamedTuple):
    """Rows of one input file that become one output file."""

    file: int
    """Number of the input file, from 0."""
    start: int
    stop: int
    """The row after the last one."""

    @property
    def name(self) -> str:
        """Name of the output file; in their order outputs are in the order of the input."""
        return f"part-{self.file:05}-{self.start:012}.parquet"


class RunPlan(BaseModel):
    """All that the rows of a run depend on; stands in the output folder from its beginning on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format_version: int = RUN_FORMAT
    files: tuple[InputFile, ...]
    columns: dict[str, str]
    """Column by field, as `--column` named them."""
    bundle: str
    """Digest."""
    policies: str
    """Digest of all policies that decide."""
    rules_version: str
    verdict_schema_version: int
    rows_per_part: int
    decided_at: AwareDatetime
    """Stands in every verdict of the run."""

    @property
    def n_rows(self) -> int:
        """Rows of all files."""
        return sum(file.n_rows for file in self.files)

    def parts(self) -> Iterator[Part]:
        """Yield the parts, in the order of the input."""
        for number, file in enumerate(self.files):
            for start in range(0, file.n_rows, self.rows_per_part):
                yield Part(number, start, min(start + self.rows_per_part, file.n_rows))

    def differences(self, begun: "RunPlan") -> list[str]:
        """Return what keeps this run from going on with one that was begun, a sentence each; empty: nothing does."""
        found = [
            f"{what} is {_shown(now)}, the folder was begun with {_shown(then)}"
            for field, what in _COMPARED.items()
            if (now := getattr(self, field)) != (then := getattr(begun, field))
        ]
        return [*_moved(self.files, begun.files), *found]

    def at(self, decided_at: datetime) -> "RunPlan":
        """Return this plan with the time of another one."""
        return self.model_copy(update={"decided_at": decided_at})


_COMPARED: Final[Mapping[str, str]] = {
    "columns": "--column",
    "bundle": "the bundle",
    "policies": "the digest of the policies",
    "rules_version": "the version of the rules",
    "verdict_schema_version": "the version of the verdict's schema",
    "rows_per_part": "--rows-per-part",
}
"""Files are compared one by one; the time is the first run's."""


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{field}={column}" for field, column in value.items()) or "not given"
    return str(value)


def _moved(now: Sequence[InputFile], then: Sequence[InputFile]) -> Iterator[str]:
    """Say the first difference between two inputs."""
    if now == then:
        return
    known = {file.name: file for file in then}
    names = {file.name for file in now}
    if new := [file.name for file in now if file.name not in known]:
        yield f"the input has {len(new)} files that it had not, {new[0]} first"
    elif gone := [name for name in known if name not in names]:
        yield f"the input lacks {len(gone)} files that it had, {gone[0]} first"
    else:
        changed = [file.name for file in now if file != known[file.name]]
        yield f"{len(changed)} files of the input are not what they were, {changed[0]} first"
