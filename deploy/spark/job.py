"""The driver's part: read an archive, have executors judge it, write the outcomes and what is to be known of the run.

Spark commits the output of a job as a whole: tasks that fail or are lost with their executor are run again, and what
they had written is dropped. So every row has one outcome, or the folder has no `_SUCCESS`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from pyspark.errors import AnalysisException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.functions import col, explode
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema

from deploy.spark.partition import FILE, ROW, Task, judge_batches, located
from model import load_bundle
from model.backfill.columns import Columns
from model.backfill.errors import BackfillRefused
from model.backfill.outcome_table import outcome_schema
from model.backfill.policies import policies_of, policy_set
from schemas import RULES_VERSION, VERDICT_SCHEMA_VERSION

MANIFEST: Final = "_manifest.json"
_FILES: Final = "*.{parquet,pq,PARQUET,PQ}"
"""What of a folder is read: by Spark itself all of it, a note beside the files, too."""
_BATCH_ROWS: Final = 512
"""Rows of one batch, and so of one call of the classifier; Spark's own 10,000 long chats would take gigabytes."""
_BATCH_BYTES: Final = 8_000_000


class JobFailed(Exception):  # noqa: N818  the name says what happened
    """The job ended, and its output cannot be what it should be."""


@dataclass(frozen=True)
class Job:
    """What is asked for. Paths of Spark may have any address that the cluster reads."""

    source: str
    out: str
    """Must not exist."""
    bundle: str
    """A folder of this machine, which all others have at the same path; or the name of an archive."""
    policy: Path | None = None
    policies: Path | None = None
    floor: tuple[str, ...] = ()
    mapping: Mapping[str, str] | None = None
    n_tasks: int | None = None
    """Rows are spread anew over so many tasks; None leaves them as the files' row groups lie."""
    n_threads: int = 0
    """Inference threads of a task; 0: its CPUs."""


def run_job(spark: SparkSession, job: Job) -> dict[str, Any]:
    """Judge an archive and return the manifest, which also stands in the output folder.

    Raises:
        BackfillRefused, BundleError, PolicyError: columns, bundle or policies are refused; nothing was started.
        JobFailed: the output has not as many rows as the input.
    """
    spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(_BATCH_ROWS))
    spark.conf.set("spark.sql.execution.arrow.maxBytesPerBatch", str(_BATCH_BYTES))
    name = str(Path(job.bundle).absolute()) if Path(job.bundle).is_dir() else job.bundle
    bundle = load_bundle(located(name))
    policies = policies_of(bundle, job.policy, job.policies)
    # Here, once, and not by every task.
    rules = policy_set(bundle, policies, floor=frozenset(job.floor))
    table = _archive(spark, job.source)
    columns = Columns.of(to_arrow_schema(table.schema, timezone="UTC"), job.mapping or {}, job.source)
    task = Task(
        bundle=name,
        bundle_digest=bundle.digest,
        policies=tuple(policy.model_dump_json() for policy in policies),
        floor=job.floor,
        columns=tuple(columns.by_field.items()),
        decided_at=datetime.now(UTC),
        n_threads=job.n_threads,
        source=_path(spark, job.source).toUri().getPath(),
    )
    rows = _rows(table, columns)
    if job.n_tasks is not None:
        rows = rows.repartition(job.n_tasks)
    outcomes = rows.mapInArrow(partial(judge_batches, task), from_arrow_schema(outcome_schema()))
    try:
        outcomes.write.option("compression", "zstd").parquet(job.out)
    except AnalysisException as error:
        raise BackfillRefused(
            f"{job.out}: refused ({_first_line(error)}); expected an address at which nothing is yet; remove what an "
            "earlier run left there, or name another one"
        ) from error
    counts = _counts(spark.read.parquet(job.out))
    if (n_rows := table.count()) != counts["n_rows"]:
        raise JobFailed(
            f"{job.out}: has {counts['n_rows']} rows, the input has {n_rows}; expected as many; the input was written "
            "to meanwhile, or the store lost a file; remove the folder and run the job again"
        )
    manifest = {
        "source": job.source,
        "n_files": len(table.inputFiles()),
        "columns": dict(task.columns),
        "bundle": bundle.digest,
        "policies": rules.digest,
        "rules_version": RULES_VERSION,
        "verdict_schema_version": VERDICT_SCHEMA_VERSION,
        "decided_at": task.decided_at,
        "finished_at": datetime.now(UTC),
        "counts": counts,
    }
    _write(spark, f"{job.out.rstrip('/')}/{MANIFEST}", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
    return manifest


def _archive(spark: SparkSession, source: str) -> DataFrame:
    """Return the archive's table.

    Raises:
        BackfillRefused: there is none.
    """
    path = _path(spark, source)
    files = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration())  # noqa: SLF001
    options = {"pathGlobFilter": _FILES} if files.exists(path) and files.isDirectory(path) else {}
    try:
        return spark.read.options(**options).parquet(source)
    except AnalysisException as error:
        raise BackfillRefused(
            f"{source}: cannot be read ({_first_line(error)}); expected a Parquet file, or a folder of files that end "
            "in .parquet or .pq, without two columns of one name; check the address and the credentials"
        ) from error


def _first_line(error: AnalysisException) -> str:
    return str(error).partition("\n")[0].rstrip(".")


def _rows(table: DataFrame, columns: Columns) -> DataFrame:
    """Return what is read of an archive, and where each row stands."""
    read = [col(f"`{name}`") for name in columns.names]
    return table.select(*read, col("_metadata.file_path").alias(FILE), col("_metadata.row_index").alias(ROW))


def _counts(outcomes: DataFrame) -> dict[str, Any]:
    """Return how rows ended, as the command for one machine counts them."""
    ends = {row["rejected"]: row["count"] for row in outcomes.groupBy("rejected").count().collect()}
    decided = outcomes.select(explode("decisions")).groupBy("key", "value.decision").count().collect()
    decisions: dict[str, dict[str, int]] = {}
    for row in decided:
        decisions.setdefault(row["key"], {})[row["decision"]] = row["count"]
    return {
        "n_rows": sum(ends.values()),
        "n_verdicts": ends.pop(None, 0),
        "rejected": ends,
        "decisions": decisions,
    }


def _write(spark: SparkSession, address: str, content: bytes) -> None:
    """Write a small file where the output is."""
    path = _path(spark, address)
    stream = path.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).create(path, True)  # noqa: FBT003, SLF001
    try:
        stream.write(bytearray(content))
    finally:
        stream.close()


def _path(spark: SparkSession, address: str) -> Any:
    """Return the Path of Hadoop's that Spark itself makes of an address: with scheme, host and all of its folders."""
    context = spark.sparkContext
    path = context._jvm.org.apache.hadoop.fs.Path(address)  # noqa: SLF001
    return path.getFileSystem(context._jsc.hadoopConfiguration()).makeQualified(path)  # noqa: SLF001


def started(master: str | None, settings: Sequence[tuple[str, str]] = ()) -> SparkSession:
    """Return the session of the job: what spark-submit says, or a master of one's own.

    Args:
        master: Such as `local[2]`; None: as spark-submit says.
        settings: Further ones of Spark.
    """
    builder = SparkSession.builder.appName("verdictstream-backfill")
    for name, value in settings:
        builder = builder.config(name, value)
    return (builder if master is None else builder.master(master)).getOrCreate()
