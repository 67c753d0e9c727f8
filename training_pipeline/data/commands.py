"""Commands of the data stages: raw chats to labelled, split chats.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the input or the options are refused; 4 (label) some chats have
no answer yet: run the same command again.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas import ValueFormat
from schemas.taxonomy import CHAT_13, taxonomy_of
from training_pipeline.data import show
from training_pipeline.data.errors import DataError

EXIT_INCOMPLETE: Final = 4

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

DataOption = Annotated[
    list[Path], typer.Option("--data", exists=True, dir_okay=False, help="Chats, JSON lines; may be repeated.")
]
OutOption = Annotated[
    Path, typer.Option("--out", help="JSON lines to write; rejects and report go beside it, the report last.")
]
TaxonomyOption = Annotated[
    str, typer.Option("--taxonomy", help="Whose categories: chat-13, toxicity, community, or a taxonomy file (TOML).")
]
_TIMES: Final = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]


@app.command()
def extract(
    *,
    out: OutOption,
    records: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="records.json (a list), JSON lines, or tables (.csv, .tsv, .parquet); may be repeated.",
        ),
    ] = None,
    topic: Annotated[str | None, typer.Option(help="Kafka topic to read instead, without committing.")] = None,
    bootstrap_servers: Annotated[str, typer.Option(help="Kafka brokers, host:port, by comma.")] = "localhost:9092",
    since: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="First record time; without a zone it is local time.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="End time, exclusive; by default the topic's end now.")
    ] = None,
    client_config: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="librdkafka properties (name=value), for TLS and SASL."),
    ] = None,
    value_format: Annotated[
        ValueFormat, typer.Option(help="Envelope of the records, as MODERATION_KAFKA__VALUE_FORMAT of the worker.")
    ] = ValueFormat.JSON,
    last_messages: Annotated[int, typer.Option(min=1, help="Messages kept of a chat, from its end.")] = 12,
    text_column: Annotated[str | None, typer.Option(help="Tables: column of the texts.")] = None,
    label_column: Annotated[str | None, typer.Option(help="Tables: column of the labels; trimmed and lowered.")] = None,
    allowed: Annotated[
        str | None, typer.Option(help="Tables: labels that are kept, by comma.", show_default="all")
    ] = None,
    taxonomy: Annotated[
        str | None, typer.Option(help="Tables: name or file of a taxonomy: labels become its codes.")
    ] = None,
    id_column: Annotated[
        str | None, typer.Option(help="Tables: column of the ids.", show_default="a digest of the text")
    ] = None,
    thread_column: Annotated[
        str | None, typer.Option(help="Tables: column of the threads, whose earlier messages become context.")
    ] = None,
    author_column: Annotated[
        str | None, typer.Option(help="Tables: column of the authors; all but the message's own speak as assistant.")
    ] = None,
    time_column: Annotated[
        str | None, typer.Option(help="Tables: column of the times, by which a thread is ordered.")
    ] = None,
    keep_column: Annotated[
        list[str] | None, typer.Option(help="Tables: column that is carried along as a field; may be repeated.")
    ] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of a CSV.", show_default="found in the header")] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Of a CSV.", show_default="its byte-order mark's, or UTF-8")
    ] = None,
) -> None:
    """Turn raw records or tables into conversations. Exit codes: 0, 3 (refused, or nothing is left of it).

    An interrupted run over records goes on where it stopped.
    """
    from training_pipeline.data import extract as stage  # noqa: PLC0415
    from training_pipeline.data import kafka_range, table_chats  # noqa: PLC0415

    if bool(records) == (topic is not None):
        raise DataError("found --records and --topic, or neither; expected exactly one of them")
    columns = {
        "text_column": text_column,
        "label_column": label_column,
        "allowed": None if allowed is None else tuple(allowed.split(",")),
        "taxonomy": taxonomy,
        "id_column": id_column,
        "thread_column": thread_column,
        "author_column": author_column,
        "time_column": time_column,
        "keep_columns": keep_column and tuple(keep_column),
        "delimiter": delimiter,
        "encoding": encoding,
    }
    table = table_chats.table_options(records or [], {name: value for name, value in columns.items() if value})
    if table is not None:
        report = table_chats.extract_table(records or [], out, table, last_messages=last_messages)
        show.print_stage(report, Console(stderr=True))
        return
    with _progress("extract") as on_progress:
        if topic is None:
            report = stage.extract_files(
                records or [], out, last_messages=last_messages, value_format=value_format, on_progress=on_progress
            )
        else:
            request = kafka_range.KafkaRequest(
                topic=topic,
                since_ms=0 if since is None else kafka_range.to_ms(since),
                until_ms=None if until is None else kafka_range.to_ms(until),
            )
            config = {} if client_config is None else kafka_range.read_client_config(client_config)
            with kafka_range.KafkaRangeReader({"bootstrap.servers": bootstrap_servers, **config}) as reader:
                report = stage.extract_topic(
                    reader,
                    request,
                    out,
                    last_messages=last_messages,
                    value_format=value_format,
                    on_progress=on_progress,
                )
    show.print_stage(report, Console(stderr=True))
    show.refuse_where_nothing_is_left(report, out)


@app.command()
def preprocess(
    *,
    data: DataOption,
    out: OutOption,
    near_duplicates: Annotated[
        float,
        typer.Option(min=0.0, max=1.0, help="Jaccard similarity of word 3-shingles from which a chat goes; 0: off."),
    ] = 0.7,
    min_characters: Annotated[int, typer.Option(min=1, help="Shorter chats are rejected.")] = 1,
    mask_pii: Annotated[
        bool, typer.Option(help="Mask e-mail, IBAN, card, IP and phone numbers, as [EMAIL] and so on.")
    ] = False,
    phone_region: Annotated[
        str | None, typer.Option(help="Also mask national phone numbers of this region, such as US or DE.")
    ] = None,
    language: Annotated[
        list[str] | None, typer.Option(help="Keep only this language (ISO 639-1, or und); may be repeated.")
    ] = None,
    accurate_language: Annotated[
        bool, typer.Option(help="Larger language models: better on short texts, about 1 GB of memory.")
    ] = False,
) -> None:
    """Drop older states and duplicates, tag the language, mask personal data, add the window. Exit codes: 0, 3."""
    from training_pipeline.data import preprocess as stage  # noqa: PLC0415

    options = stage.PreprocessOptions(
        near_duplicate_threshold=near_duplicates or None,
        min_characters=min_characters,
        mask_pii=mask_pii,
        phone_region=phone_region,
        accurate_language=accurate_language,
        languages=tuple(language or ()),
    )
    with _progress("preprocess") as on_progress:
        report = stage.preprocess(data, out, options, on_progress=on_progress)
    show.print_stage(report, Console(stderr=True))
    show.refuse_where_nothing_is_left(report, out)


@app.command()
def label(
    *,
    data: DataOption,
    annotators: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="TOML file with one [[annotator]] table per model.")
    ],
    out: Annotated[
        Path, typer.Option(help="Folder of the answers, <annotator>.jsonl; what is there is not asked again.")
    ],
    taxonomy: TaxonomyOption = CHAT_13.name,
    only: Annotated[list[str] | None, typer.Option(help="Ask this annotator only; may be repeated.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Label the first chats only; 0: all.")] = 0,
    max_cost_usd: Annotated[
        float | None, typer.Option(min=0.0, help="Stop asking when this run has cost so much; needs prices.")
    ] = None,
) -> None:
    """Ask LLM annotators for labels. Run it again to go on. Exit codes: 0, 3, 4 (some chats have no answer yet)."""
    from training_pipeline.data import label as stage  # noqa: PLC0415
    from training_pipeline.data.annotator_config import read_annotators  # noqa: PLC0415
    from training_pipeline.data.chat_rows import Reject, read_chat_rows  # noqa: PLC0415

    categories = taxonomy_of(taxonomy)
    chosen = show.chosen_annotators(read_annotators(annotators), only or [])
    keys = show.keys_from_environment(chosen, os.environ)
    rejects: list[Reject] = []
    rows = list(read_chat_rows(data, rejects.append))[: limit or None]
    if not rows:
        raise DataError(f"--data: no chat ({len(rejects)} rejected); expected what `preprocess` writes")
    with _bars() as bars:
        tasks = {a.name: bars.add_task(a.name, total=len(rows)) for a in chosen}
        accounts = stage.label(
            rows,
            chosen,
            keys,
            out,
            taxonomy=categories,
            max_cost_usd=max_cost_usd,
            on_answer=lambda name, n_done: bars.update(tasks[name], completed=n_done),
        )
    show.print_accounts(accounts, len(rejects), out, Console(stderr=True))
    if any(account.n_left for account in accounts):
        raise typer.Exit(EXIT_INCOMPLETE)


@app.command()
def agree(
    *,
    data: DataOption,
    out: OutOption,
    answers: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Answers file of an annotator; may be repeated."),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Label table (CSV: chat_id, category, confidence, runner_up), its name the annotator's; repeatable.",
        ),
    ] = None,
    consensus: Annotated[
        Literal["votes", "dawid-skene"],
        typer.Option(help="votes (mean of the soft labels) or dawid-skene (three annotators or more)."),
    ] = "votes",
    keep: Annotated[
        Literal["agreed", "consensus"],
        typer.Option(help="agreed (all votes equal) or consensus (weight above --min-weight)."),
    ] = "agreed",
    min_votes: Annotated[int, typer.Option(min=1, help="Chats with fewer votes go to the queue.")] = 2,
    min_weight: Annotated[float, typer.Option(min=0.0, max=1.0, help="For --keep consensus.")] = 0.7,
    gold: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Labelled chats to measure each annotator on.")
    ] = None,
    taxonomy: TaxonomyOption = CHAT_13.name,
) -> None:
    """Measure agreement, keep what is sure, queue the rest for a person (<out>.queue.jsonl). Exit codes: 0, 3."""
    from training_pipeline.data import agree as stage  # noqa: PLC0415

    options = stage.AgreeOptions.model_validate(
        {
            "consensus": consensus,
            "keep": keep,
            "min_votes": min_votes,
            "min_weight": min_weight,
            "taxonomy": taxonomy,
        }
    )
    report = stage.agree(data, answers or [], out, options, tables=labels or (), gold=gold)
    console = Console(stderr=True)
    show.print_agreement(report, taxonomy_of(taxonomy), console)
    show.print_stage(report, console)


@app.command()
def split(
    *,
    data: DataOption,
    out: Annotated[Path, typer.Option(help="Folder for <split>.jsonl, splits.rejects.jsonl, splits.report.json.")],
    ratio: Annotated[
        list[str] | None,
        typer.Option(help="name=share, in steps of 0.05; repeated.", show_default="train=0.8 dev=0.1 test=0.1"),
    ] = None,
    exclude: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Chats to stay clear of, near-duplicates too; may be repeated."),
    ] = None,
    threshold: Annotated[float, typer.Option(min=0.05, max=1.0, help="Jaccard similarity that joins two chats.")] = 0.6,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and chats give the same splits.")] = 0,
    taxonomy: TaxonomyOption = CHAT_13.name,
    by: Annotated[
        str | None, typer.Option(help="Field of the chats that names their split; of --ratio only the names count.")
    ] = None,
) -> None:
    """Split by category shares, with chats that resemble one another on one side. Exit codes: 0, 3."""
    from training_pipeline.data import grouped_split as stage  # noqa: PLC0415

    ratios = show.parse_ratios(ratio or ["train=0.8", "dev=0.1", "test=0.1"])
    with _progress("split") as on_progress:
        report = stage.split(
            data,
            out,
            ratios,
            threshold=threshold,
            seed=seed,
            excluded=exclude or (),
            taxonomy=taxonomy_of(taxonomy),
            by=by,
            on_progress=on_progress,
        )
    show.print_stage(report, Console(stderr=True))


def _bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


@contextmanager
def _progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Yield what a stage tells its progress to."""
    with _bars() as bars:
        task = bars.add_task(name, total=None)
        yield lambda n_done, n_total: bars.update(task, completed=n_done, total=n_total)
