"""Judge an archive with Spark: the rows that `python -m model classify --parquet` writes, by many machines.

Exit codes: 0 done; 1 unexpected error, or a task failed too often; 2 wrong usage, or a missing extra; 3 columns, bundle
or policies are refused; 4 the output has not as many rows as the input.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer

from model import DEFAULT_BUNDLE_PATH, BundleError, PolicyError
from model.backfill.errors import BackfillRefused

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_REFUSED: Final = 3
EXIT_NOT_WHOLE: Final = 4
_ROOT: Final = Path(__file__).parents[2]

app = typer.Typer(
    name="python -m deploy.spark",
    help=__doc__,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command(help=__doc__)
def classify(
    *,
    parquet: Annotated[str, typer.Option("--parquet", help="Archive, by any address that the cluster reads.")],
    out: Annotated[str, typer.Option("--out", help="Folder of this run alone; must not exist.")],
    bundle: Annotated[
        str,
        typer.Option(
            "--bundle",
            help="Bundle folder at the same path on every machine, or NAME of `--archives bundle.tar.gz#NAME`.",
            show_default="the shipped bundle",
        ),
    ] = str(DEFAULT_BUNDLE_PATH),
    policy: Annotated[
        Path | None,
        typer.Option("--policy", help="Default policy, of the driver's machine.", show_default="the bundle's"),
    ] = None,
    policies: Annotated[
        Path | None, typer.Option("--policies", help="Folder of further policies, the driver's.")
    ] = None,
    floor: Annotated[
        list[str] | None, typer.Option("--floor", metavar="CODE", help="A code that no policy may allow; repeatable.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option("--column", metavar="FIELD=COLUMN", help="Where a field is called otherwise; repeatable."),
    ] = None,
    tasks: Annotated[
        int | None,
        typer.Option("--tasks", min=1, help="Spread the rows anew over so many tasks; for files of few row groups."),
    ] = None,
    threads: Annotated[int, typer.Option("--threads", min=0, help="Of one task; 0: its CPUs (spark.task.cpus).")] = 0,
    master: Annotated[
        str | None,
        typer.Option("--master", help="Such as local[2]; else as spark-submit says.", show_default=False),
    ] = None,
    conf: Annotated[
        list[str] | None, typer.Option("--conf", metavar="NAME=VALUE", help="A setting of Spark; repeatable.")
    ] = None,
) -> None:
    """Judge an archive."""
    try:
        from deploy.spark.job import Job, JobFailed, run_job, started  # noqa: PLC0415  need pyspark and pyarrow
        from model.backfill.columns import parse_mapping  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (missing := (error.name or "").partition(".")[0]) not in {"pyspark", "pyarrow", "pandas"}:
            raise
        typer.echo(f"error: {missing} is not installed; expected the spark extra; run `make setup-spark`", err=True)
        raise typer.Exit(EXIT_USAGE) from None
    settings = [(name, value) for name, _, value in (one.partition("=") for one in conf or [])]
    job = Job(
        source=parquet,
        out=out,
        bundle=bundle,
        policy=policy,
        policies=policies,
        floor=tuple(floor or ()),
        mapping=parse_mapping(column or []),
        n_tasks=tasks,
        n_threads=threads,
    )
    if master is not None:
        settings += _here()
    spark = started(master, settings)
    try:
        manifest = run_job(spark, job)
    except JobFailed as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_NOT_WHOLE) from None
    finally:
        spark.stop()
    typer.echo(orjson.dumps(manifest).decode())


def _here() -> list[tuple[str, str]]:
    """Let executors on this machine run this Python with this code; return the settings that say so."""
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))
    return [("spark.executorEnv.PYTHONPATH", os.environ["PYTHONPATH"]), ("spark.ui.enabled", "false")]


def main() -> None:
    """Run the command and turn errors into exit codes."""
    try:
        app()
    except (BackfillRefused, BundleError, PolicyError) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
