"""The commands about feedback.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the input or the options are refused, or no row is left.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal

import typer
from rich.console import Console

from schemas import ValueFormat
from schemas.taxonomy import CHAT_13, taxonomy_of
from training_pipeline.data import show
from training_pipeline.data.errors import DataError

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)

_TIMES: Final = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"]
_FILE: Final = {"exists": True, "dir_okay": False}


@app.command()
def feedback(
    *,
    out: Annotated[
        Path,
        typer.Option(
            "--out", help="Labelled chats to write, JSON lines; queue, votes, rejects and report go beside it."
        ),
    ],
    topic: Annotated[str | None, typer.Option(help="Topic of reports, as kafka.feedback_topic of the worker.")] = None,
    reports: Annotated[Path | None, typer.Option("--feedback", help="Reports as JSON lines instead.", **_FILE)] = None,
    events_topic: Annotated[
        list[str] | None,
        typer.Option(help="Topic of the events; may be repeated; others are not read.", show_default="chat-events"),
    ] = None,
    events: Annotated[
        Path | None,
        typer.Option(help="Events instead: JSON lines of `kcat -J`, or chat events, found by text.", **_FILE),
    ] = None,
    verdict_topic: Annotated[
        str | None, typer.Option(help="Topic of verdicts, for reports without a fingerprint; read from their time on.")
    ] = None,
    verdicts: Annotated[Path | None, typer.Option(help="Verdicts as JSON lines instead.", **_FILE)] = None,
    erasures_topic: Annotated[
        str | None, typer.Option(help="Topic of erased chats, of which no row is written; needs --erasure-key-file.")
    ] = None,
    erasures: Annotated[Path | None, typer.Option(help="Erasures as JSON lines instead.", **_FILE)] = None,
    erasure_key_file: Annotated[
        Path | None, typer.Option(help="The file of MODERATION_ERASURE__HASH_KEY_FILE.", **_FILE)
    ] = None,
    bootstrap_servers: Annotated[str, typer.Option(help="Kafka brokers, host:port, by comma.")] = "localhost:9092",
    client_config: Annotated[
        Path | None, typer.Option(help="librdkafka properties (name=value), for TLS and SASL.", **_FILE)
    ] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=_TIMES, help="Reports from then on; without a zone local time.")
    ] = None,
    until: Annotated[datetime | None, typer.Option(formats=_TIMES, help="Reports before then.")] = None,
    value_format: Annotated[
        ValueFormat, typer.Option(help="Envelope of the events, as MODERATION_KAFKA__VALUE_FORMAT of the worker.")
    ] = ValueFormat.JSON,
    last_messages: Annotated[int, typer.Option(min=1, help="Messages kept of a chat, from its end.")] = 12,
    mask_pii: Annotated[
        bool, typer.Option(help="Mask e-mail, IBAN, card, IP and phone numbers, in notes too.")
    ] = False,
    phone_region: Annotated[
        str | None, typer.Option(help="Also mask national phone numbers of this region, such as US or DE.")
    ] = None,
    consensus: Annotated[
        Literal["votes", "dawid-skene"], typer.Option(help="As of `agree`: how reporters' votes become weights.")
    ] = "votes",
    keep: Annotated[
        Literal["agreed", "consensus"], typer.Option(help="As of `agree`: all votes equal, or --min-weight.")
    ] = "agreed",
    min_votes: Annotated[int, typer.Option(min=1, help="Texts with fewer votes go to the queue.")] = 1,
    min_weight: Annotated[float, typer.Option(min=0.0, max=1.0, help="For --keep consensus.")] = 0.7,
    taxonomy: Annotated[
        str, typer.Option(help="Whose categories: chat-13, toxicity, community, or a taxonomy file (TOML).")
    ] = CHAT_13.name,
) -> None:
    """Join reports of wrong verdicts with their events, and write labelled chats. Exit codes: 0, 3 (no row is left).

    Nothing is committed and no group is joined. `split`, `train` and `describe` read what it writes.
    """
    from training_pipeline.data.kafka_range import read_client_config, to_ms  # noqa: PLC0415
    from training_pipeline.feedback.sources import FeedbackSources, joined  # noqa: PLC0415
    from training_pipeline.feedback.stage import (  # noqa: PLC0415
        FeedbackOptions,
        refuse_where_no_row_is_left,
        write_rows,
    )

    if (topic is None) == (reports is None):
        raise DataError("found --topic and --feedback, or neither; expected exactly one of them")
    config = {} if client_config is None else read_client_config(client_config)
    options = FeedbackOptions.model_validate(
        {
            "last_messages": last_messages,
            "mask_pii": mask_pii,
            "phone_region": phone_region,
            "consensus": consensus,
            "keep": keep,
            "min_votes": min_votes,
            "min_weight": min_weight,
            "taxonomy": taxonomy,
        }
    )
    sources = FeedbackSources(
        reports_file=reports,
        reports_topic=topic,
        since_ms=0 if since is None else to_ms(since),
        until_ms=None if until is None else to_ms(until),
        events_file=events,
        events_topics=() if events is not None else tuple(events_topic or ["chat-events"]),
        verdicts_file=verdicts,
        verdicts_topic=verdict_topic,
        erasures_file=erasures,
        erasures_topic=erasures_topic,
        erasure_key_file=erasure_key_file,
        value_format=value_format,
        client={"bootstrap.servers": bootstrap_servers, **config},
    )
    report = write_rows(joined(sources, taxonomy_of(taxonomy)), out, options)
    console = Console(stderr=True)
    if "pairs" in report.details:
        show.print_agreement(report, taxonomy_of(taxonomy), console)
    show.print_stage(report, console)
    refuse_where_no_row_is_left(report, out)


@app.command()
def feedback_demo(
    *,
    out: Annotated[Path, typer.Option("--out", help="Folder to write: reports, events, rows and both bundles.")] = Path(
        "work/feedback"
    ),
    corrections: Annotated[int, typer.Option(min=1, help="Wrong verdicts that are reported.")] = 200,
    seed: Annotated[int, typer.Option(min=0, help="Of the splits.")] = 0,
    threads: Annotated[int, typer.Option(min=1, help="Inference threads of the encoder.")] = 1,
) -> None:
    """Show what corrections do to a bundle, on data/sample and data/border; under a minute of one core."""
    from training_pipeline.feedback.demo import DemoOptions, run_demo  # noqa: PLC0415
    from training_pipeline.feedback.show import print_demo  # noqa: PLC0415

    figures = run_demo(out, DemoOptions(n_corrections=corrections, seed=seed, n_threads=threads))
    print_demo(figures, Console(stderr=True, width=150))
    show.print_json(figures)
