"""Command line of the model folder: classify texts, describe and verify a bundle.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage, or a missing extra; 3 the bundle, a policy, the input or the
output is refused, or every line or row of the input; 130 interrupted.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from model import (
    DEFAULT_BUNDLE_PATH,
    BundleError,
    Classification,
    Classifier,
    PolicyError,
    available_cpus,
    load_bundle,
    load_policy,
)
from model.backfill.errors import BackfillRefused
from model.bundle.thresholds import calibration_size, thresholds_for
from model.jsonl import NotJsonLines, RejectedLines, classify_lines, event_lines, judgement_fields
from model.openrtb_command import openrtb
from model.policies.command import thresholds
from model.windowing import render
from schemas import (
    CodecLimits,
    DecidedBy,
    RecordRejected,
    RejectionReason,
    Role,
    Taxonomy,
    Turn,
    decode_conversation,
    is_visible,
)

EXIT_USAGE: Final = 2
EXIT_REFUSED: Final = 3
_ROWS_PER_PART: Final = 20_000
"""A run that is killed loses the part in hand: a minute or two of work."""
_PIPE_COLUMNS: Final = 120

app = typer.Typer(
    help=__doc__,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command()(thresholds)

BundleOption = Annotated[Path, typer.Option("--bundle", help="Bundle folder.", show_default="the shipped bundle")]
PolicyOption = Annotated[
    Path | None,
    typer.Option("--policy", help="Policy file, TOML or JSON.", show_default="the bundle's default policy"),
]
ThreadsOption = Annotated[int, typer.Option("--threads", min=0, help="Inference threads; 0 follows the CPU quota.")]


def _classifier(bundle: Path, policy: Path | None, threads: int) -> Classifier:
    loaded = load_bundle(bundle)
    return Classifier(loaded, load_policy(policy, loaded), n_threads=threads or available_cpus())


def _lines(source: str) -> Iterator[tuple[int, bytes]]:
    try:
        yield from event_lines(_raw_lines(source))
    except NotJsonLines as found:
        raise typer.BadParameter(f"{source}: {found}", param_hint="--jsonl") from None


def _raw_lines(source: str) -> Iterator[bytes]:
    if source == "-":
        yield from sys.stdin.buffer
        return
    path = Path(source)
    if not path.is_file():
        raise typer.BadParameter(
            f"{source}: not a file; expected JSON lines, or - for standard input",
            param_hint="--jsonl",
        )
    with path.open("rb") as lines:
        yield from lines


@app.command()
def classify(
    text: Annotated[list[str] | None, typer.Argument(help="Texts; each is one chat with one user message.")] = None,
    *,
    jsonl: Annotated[
        str | None,
        typer.Option(
            "--jsonl",
            help="File of ChatEvents, one JSON line each, or - for standard input. Prints one JSON line per event in "
            'the same order and skips blank lines; a rejected line prints {"rejected": reason, "line": n}.',
        ),
    ] = None,
    parquet: Annotated[
        str | None,
        typer.Option(
            "--parquet",
            help="Parquet file, folder of them, or address such as s3://bucket/folder: chat events in columns, or as "
            "JSON in the column `value`. Writes Parquet to --out; the same command goes on where one was stopped.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="With --parquet: a folder of this run alone.")] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--column", metavar="FIELD=COLUMN", help="With --parquet: where a field is called otherwise; repeatable."
        ),
    ] = None,
    rows_per_part: Annotated[
        int, typer.Option(min=1, help="With --parquet: rows of one output file, at most.")
    ] = _ROWS_PER_PART,
    policies: Annotated[
        Path | None, typer.Option("--policies", help="With --parquet: folder of further policies to decide by.")
    ] = None,
    floor: Annotated[
        list[str] | None,
        typer.Option("--floor", metavar="CODE", help="With --parquet: a code that no policy may allow; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines instead of a table for TEXT.")] = False,
    bundle: BundleOption = DEFAULT_BUNDLE_PATH,
    policy: PolicyOption = None,
    threads: ThreadsOption = 0,
) -> None:
    """Classify texts, or a file of chat events.

    Prints a table for texts, JSON lines for --jsonl, and the account of the run for --parquet.
    """
    if sum([bool(text), jsonl is not None, parquet is not None]) != 1:
        raise typer.BadParameter("found none or several of TEXT, --jsonl and --parquet; expected exactly one of them")
    if (parquet is None) != (out is None):
        raise typer.BadParameter("found one of --parquet and --out; expected both or neither")
    if parquet is None and (columns or policies or floor):
        raise typer.BadParameter("found --column, --policies or --floor without --parquet; expected them with it alone")
    if parquet is not None and out is not None:
        _classify_parquet(
            parquet,
            out,
            columns=columns or [],
            rows_per_part=rows_per_part,
            bundle=bundle,
            policy=policy,
            policies=policies,
            floor=floor or [],
            n_threads=threads or available_cpus(),
        )
        return
    if jsonl is not None:
        rejected = RejectedLines()
        for answer in classify_lines(_lines(jsonl), _classifier(bundle, policy, threads), rejected):
            sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
        sys.stdout.buffer.flush()
        _tell_rejected(rejected)
        return
    _classify_texts(text or [], bundle, policy, threads, as_json=as_json)


def _classify_parquet(source: str, out: Path, **options: Any) -> None:
    """Judge an archive; name the extra where it is missing."""
    try:
        from model.backfill.command import classify_parquet, print_account  # noqa: PLC0415  needs pyarrow
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "pyarrow":
            raise
        typer.echo(
            "error: pyarrow is not installed; expected the parquet extra; run `make setup`, or install "
            "requirements-parquet.lock where there is no make",
            err=True,
        )
        raise typer.Exit(EXIT_USAGE) from None
    manifest = classify_parquet(source, out, say=lambda line: typer.echo(line, err=True), **options)
    print_account(manifest, out)


def _classify_texts(texts: list[str], bundle: Path, policy: Path | None, threads: int, *, as_json: bool) -> None:
    blank = _blank(texts)
    classifier = _classifier(bundle, policy, threads)
    results, _ = classifier.classify([[Turn(Role.USER, one)] for i, one in enumerate(texts, start=1) if i not in blank])
    answers = iter(results)
    for number, one in enumerate(texts, start=1):
        if number in blank:
            if as_json:
                reason = RejectionReason.EMPTY_CONVERSATION.value
                sys.stdout.buffer.write(orjson.dumps({"rejected": reason, "line": number}) + b"\n")
            continue
        result = next(answers)
        if not isinstance(result, Classification):
            raise result
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(judgement_fields(result, classifier.bundle.taxonomy)) + b"\n")
        else:
            _print_classification(one, result, classifier.bundle.taxonomy)


def _tell_rejected(rejected: RejectedLines) -> None:
    """Say on standard error what was not judged, and end with 3 where that is everything."""
    if rejected.n_by_reason:
        typer.echo(f"{'error' if rejected.are_all else 'warning'}: {rejected}", err=True)
    if rejected.are_all:
        raise typer.Exit(EXIT_REFUSED)


def _blank(texts: list[str]) -> frozenset[int]:
    """Return the numbers, from 1, of the texts that cannot be judged, and say which they are.

    Raises:
        typer.BadParameter: none can.
    """
    blank = frozenset(number for number, one in enumerate(texts, start=1) if not is_visible(one))
    if len(blank) == len(texts):
        raise typer.BadParameter("no visible character in any TEXT; expected some text to classify")
    for number in sorted(blank):
        typer.echo(
            f"warning: TEXT {number} of {len(texts)} is left out: no visible character; expected some text", err=True
        )
    return blank


def _print_classification(text: str, result: Classification, taxonomy: Taxonomy) -> None:
    table = Table("category", "probability", title=escape(_shorten(text)), title_justify="left", title_style="bold")
    for code, probability in sorted(result.probabilities.items(), key=lambda item: -item[1])[:3]:
        name = taxonomy.names[code]
        table.add_row(escape(code if name == code else f"{code} {name}"), f"{probability:.3f}")
    judgement = result.judgement
    console = Console()
    console.print(table)
    console.print(
        f"decision {judgement.decision.value}{_reason(result)}   "
        f"banned probability {judgement.banned_probability:.3f}   "
        f"banned-to-safe risk {judgement.banned_to_safe_risk:.3f}\n",
        highlight=False,
    )


def _reason(result: Classification) -> str:
    """Return in brackets what a decision rests on, where that is not the model's evidence."""
    if result.judgement.decided_by is DecidedBy.UNEVALUATED:
        return f" (unevaluated: {', '.join(result.unevaluated)})"
    return " (nothing is banned)" if result.judgement.decided_by is DecidedBy.NOTHING_BANNED else ""


def _shorten(text: str, n_characters: int = 70) -> str:
    # An argument that was no UTF-8 holds lone surrogates, which no terminal can print.
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= n_characters else f"{text[: n_characters - 1]}…"


@app.command(name="render")
def render_window(
    jsonl: Annotated[
        str,
        typer.Option("--jsonl", help="File of ChatEvents, one JSON line each, or - for standard input."),
    ],
    *,
    bundle: BundleOption = DEFAULT_BUNDLE_PATH,
) -> None:
    """Print, per accepted event, one JSON line with the text that the classifier would read."""
    windowing = load_bundle(bundle).manifest.windowing
    rejected = RejectedLines()
    for number, line in _lines(jsonl):
        rejected.n_lines += 1
        try:
            event, turns = decode_conversation(line, CodecLimits())
        except RecordRejected as rejection:
            rejected.add(number, rejection)
            continue
        answer = {"chat_id": event.chat_id, "text": render(turns, windowing)}
        sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
    sys.stdout.buffer.flush()
    _tell_rejected(rejected)


@app.command()
def info(
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifest as JSON.")] = False,
    bundle: BundleOption = DEFAULT_BUNDLE_PATH,
    policy: PolicyOption = None,
) -> None:
    """Describe a bundle: name, digest, taxonomy, policy, calibration, files, thresholds, metrics, licence.

    It says whether there are chats enough for `allow` and `block` under the policy.
    """
    loaded = load_bundle(bundle)
    chosen = load_policy(policy, loaded)
    size = calibration_size(loaded.risk_curves(chosen), chosen)
    fields = {
        **loaded.manifest.model_dump(mode="json"),
        "taxonomy": loaded.taxonomy.model_dump(mode="json"),
        "policy": chosen.model_dump(mode="json"),
        "calibration": size._asdict(),
    }
    if as_json:
        sys.stdout.buffer.write(orjson.dumps({**fields, "digest": loaded.digest}) + b"\n")
        return
    table = Table("field", Column("value", overflow="fold"), show_lines=True)
    table.add_row("digest", loaded.digest)
    table.add_row("decisions", "\n".join(size.sentences()))
    for field, value in fields.items():
        shown = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
        table.add_row(field, shown)
    Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS).print(table)


@app.command()
def verify(
    *,
    bundle: BundleOption = DEFAULT_BUNDLE_PATH,
    policy: PolicyOption = None,
    public_key: Annotated[
        Path | None,
        typer.Option(help="Ed25519 key, PEM: the bundle must be a registry's, and signed. Needs the signing extra."),
    ] = None,
) -> None:
    """Check a bundle or what a registry serves: digests, manifest, input and output names, thresholds, an inference."""
    loaded = load_bundle(bundle, public_key=public_key)
    found = thresholds_for(loaded.risk_curves(loaded.default_policy), loaded.default_policy)
    if found != loaded.manifest.thresholds:
        raise BundleError(
            f"{bundle}: thresholds of the default policy are {found}, the manifest says {loaded.manifest.thresholds}; "
            "re-run `python -m training_pipeline export`"
        )
    Classifier(loaded, load_policy(policy, loaded), n_threads=available_cpus()).warm_up()
    typer.echo(f"ok: {loaded.manifest.name} {loaded.manifest.version} {loaded.digest}")


app.command()(openrtb)


def main() -> None:
    """Run the command line and turn errors into exit codes."""
    try:
        app()
    except (BundleError, PolicyError, BackfillRefused) as error:
        typer.echo(f"error: {error}", err=True)
        sys.exit(EXIT_REFUSED)


if __name__ == "__main__":
    main()
