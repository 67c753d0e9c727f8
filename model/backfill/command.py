"""`classify --parquet`: what the options say, and what is printed. Needs the parquet extra."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import orjson
import typer

from model.backfill.archive_judge import ArchiveJudge
from model.backfill.columns import parse_mapping
from model.backfill.errors import BackfillRefused
from model.backfill.output_folder import MANIFEST, Manifest
from model.backfill.policies import policies_of, policy_set
from model.backfill.run import Request, run
from model.bundle.bundle import load_bundle
from model.classifier import Classifier


def classify_parquet(
    source: str,
    out: Path,
    *,
    columns: list[str],
    rows_per_part: int,
    bundle: Path,
    policy: Path | None,
    policies: Path | None,
    floor: list[str],
    n_threads: int,
    say: Callable[[str], None],
) -> Manifest:
    """Judge an archive, or what is left of it, and return its manifest.

    Args:
        source: File, folder or address.
        out: The output folder.
        columns: `FIELD=COLUMN` options.
        rows_per_part: Rows of one output file, at most.
        bundle: Bundle folder.
        policy: File of the default policy; None: the bundle's own.
        policies: Folder of further policies.
        floor: Codes that the operator adds to the taxonomy's floor, as `model.floor` does.
        n_threads: Inference threads.
        say: Takes lines of progress.

    Raises:
        BackfillRefused, BundleError, PolicyError: something of it is refused; the message says what to do.
    """
    loaded = load_bundle(bundle)
    rules = policy_set(loaded, policies_of(loaded, policy, policies), floor=frozenset(floor))

    def judge(decided_at: datetime) -> ArchiveJudge:
        return ArchiveJudge(Classifier(loaded, rules.default.policy, n_threads=n_threads), rules, decided_at)

    return run(Request(source, out, parse_mapping(columns), rows_per_part), loaded, rules, judge, say)


def print_account(manifest: Manifest, out: Path) -> None:
    """Print one JSON line; where every row was rejected, raise BackfillRefused, which says the commonest reason."""
    counts = manifest.counts
    account = {
        "manifest": str(out / MANIFEST),
        "n_files": len(manifest.run.files),
        "n_parts": len(manifest.parts),
        **counts.model_dump(mode="json"),
    }
    typer.echo(orjson.dumps(account).decode())
    if counts.rejected and not counts.n_verdicts:
        reason, n_rows = counts.rejected.most_common(1)[0]
        raise BackfillRefused(
            f"all {counts.n_rows} rows were rejected, {n_rows} of them as {reason}; expected chat events; read the "
            f"column `error` in {out}, and name the right columns with --column"
        )
