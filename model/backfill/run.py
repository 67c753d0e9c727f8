"""One run: every row of an input judged once, part by part, wherever an earlier start stopped.

Memory is bounded by a batch of input, a call of the classifier and a row group of output, whatever the files hold.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, groupby
from pathlib import Path
from typing import Final

from model.backfill.archive_judge import ArchivedRecord, ArchiveJudge
from model.backfill.columns import Columns
from model.backfill.input_files import OpenInput
from model.backfill.output_folder import Manifest, OutputFolder
from model.backfill.progress import Progress
from model.backfill.row_reader import RowReader
from model.backfill.run_plan import Part, RunPlan
from model.bundle.bundle import Bundle
from model.errors import BundleError
from model.policies.policy_set import PolicySet
from schemas import RULES_VERSION, VERDICT_SCHEMA_VERSION

MakeJudge = Callable[[datetime], ArchiveJudge]
"""Returns the judge of a run that decides at this time; called once, and only where something is left to judge."""

_WORN_OUT: Final = (
    "inferences did not end and were left behind, with a core and a model's memory each; expected a model that ends; "
    "their rows are rejected and written; the same command goes on after them; look at the bundle"
)


@dataclass(frozen=True)
class Request:
    """What is asked for."""

    source: str
    """A file, a folder or an address; see `OpenInput.of`."""
    out: Path
    mapping: Mapping[str, str]
    """Column by field, where they are not called alike."""
    rows_per_part: int
    """Rows of one output file, at most."""


def run(
    request: Request, bundle: Bundle, policies: PolicySet, make_judge: MakeJudge, say: Callable[[str], None]
) -> Manifest:
    """Judge what is left to judge and return the manifest.

    Args:
        request: Input, output and columns.
        bundle: What the judge's classifier is of.
        policies: What the judge decides by.
        make_judge: Builds it.
        say: Takes lines of progress.

    Raises:
        BackfillRefused: the input or the output folder is refused.
        BundleError: inferences never end.
    """
    source = OpenInput.of(request.source)
    columns = [_columns(source, number, request.mapping) for number in range(len(source.files))]
    plan = RunPlan(
        files=tuple(source.files),
        columns=dict(request.mapping),
        bundle=bundle.digest,
        policies=policies.digest,
        rules_version=RULES_VERSION,
        verdict_schema_version=VERDICT_SCHEMA_VERSION,
        rows_per_part=request.rows_per_part,
        decided_at=datetime.now(UTC),
    )
    with OutputFolder(request.out, plan) as folder:
        missing = folder.missing()
        if (n_done := folder.counts.n_rows) and missing:
            say(f"going on: {n_done:,} of {plan.n_rows:,} rows are judged already")
        if missing:
            judge = make_judge(folder.plan.decided_at)
            progress = Progress(plan.n_rows, n_done, time.monotonic, say)
            for number, parts in groupby(missing, key=lambda part: part.file):
                with closing(source.open(number)) as file:
                    reader = RowReader(file, source.files[number].name, columns[number].names)
                    for part in parts:
                        records = _records(part, reader, columns[number], source.files[number].name)
                        with folder.part(part) as writer:
                            for outcomes in chain.from_iterable(map(judge.outcomes, records)):
                                writer.write(outcomes)
                                progress.advance(len(outcomes))
                        if judge.is_worn_out:
                            raise BundleError(_WORN_OUT)
        return folder.finish()


def _columns(source: OpenInput, number: int, mapping: Mapping[str, str]) -> Columns:
    with closing(source.open(number)) as file:
        return Columns.of(file.schema_arrow, mapping, source.files[number].name)


def _records(part: Part, reader: RowReader, columns: Columns, name: str) -> Iterator[list[ArchivedRecord]]:
    for at, batch in reader.take(part.start, part.stop):
        yield columns.records(batch, [(name, at + i) for i in range(batch.num_rows)])
