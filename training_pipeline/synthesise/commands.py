"""The command that writes conversations for a taxonomy.

Exit codes: 0 done; 1 unexpected error; 2 wrong usage; 3 the brief, the taxonomy or the options are refused; 4 some
conversations have no answer yet: run the same command again; 5 done, but a category got fewer than asked for.
"""

import os
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas.taxonomy import taxonomy_of
from training_pipeline.data import show

EXIT_INCOMPLETE: Final = 4
EXIT_SHORT: Final = 5

app = typer.Typer(
    help=__doc__, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
)


@app.command()
def synthesise(
    *,
    taxonomy: Annotated[
        str, typer.Option(help="Taxonomy file (TOML), or one that ships: chat-13, toxicity, community.")
    ],
    brief: Annotated[
        Path, typer.Option(exists=True, dir_okay=False, help="What to write: see data/briefs/community.toml.")
    ],
    out: Annotated[
        Path, typer.Option(help="JSON lines to write, as `train` reads them; rejects, report and answers go beside it.")
    ],
    per_category: Annotated[int, typer.Option(min=1, max=100_000, help="Conversations wanted of each category.")] = 200,
    csv: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Also write a table, one row a conversation.")
    ] = None,
    avoid: Annotated[
        list[Path] | None,
        typer.Option(exists=True, dir_okay=False, help="Chats, JSON lines, to stay clear of; may be repeated."),
    ] = None,
    annotators: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Endpoints, as of `label`, in place of the brief's own."),
    ] = None,
    writer: Annotated[str | None, typer.Option(help="Who of --annotators writes.", show_default="the first")] = None,
    judge: Annotated[str | None, typer.Option(help="Who of --annotators judges.", show_default="the writer")] = None,
    judged: Annotated[
        bool, typer.Option("--judged/--not-judged", help="Drop what a labeller would call another category.")
    ] = True,
    seed: Annotated[int, typer.Option(min=0, help="Of the grid; the same seed asks for the same conversations.")] = 0,
    attempts: Annotated[
        int, typer.Option(min=1, max=10, help="Requests for one conversation, the later with the reason.")
    ] = 3,
    asked_ratio: Annotated[
        float, typer.Option(min=1.0, max=100.0, help="Conversations asked for at most, per wanted one.")
    ] = 2.0,
    near_duplicates: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Jaccard similarity of word 3-shingles from which one goes; 0: off.")
    ] = 0.7,
    mask_pii: Annotated[
        bool, typer.Option(help="Mask e-mail, IBAN, card, IP and phone numbers that the writer made up.")
    ] = True,
    answers: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="Folder of the answers; what is there is not asked again.",
            show_default="beside --out",
        ),
    ] = None,
    recorded: Annotated[
        bool, typer.Option("--recorded", help="Ask nothing: make rows of the recorded answers, without a key.")
    ] = False,
    max_cost_usd: Annotated[
        float | None, typer.Option(min=0.0, help="Stop asking when this run has cost so much; needs prices.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many requests a run would send and what they cost; send none.")
    ] = False,
) -> None:
    """Have an LLM write conversations of each category. Run it again to go on. Exit codes: 0, 3, 4, 5."""
    from training_pipeline.data.asking import Budget  # noqa: PLC0415
    from training_pipeline.synthesise import shown  # noqa: PLC0415
    from training_pipeline.synthesise import synthesise as stage  # noqa: PLC0415
    from training_pipeline.synthesise.brief import read_brief  # noqa: PLC0415
    from training_pipeline.synthesise.endpoints import chosen_endpoints  # noqa: PLC0415
    from training_pipeline.synthesise.estimate import estimate  # noqa: PLC0415
    from training_pipeline.synthesise.table import write_table  # noqa: PLC0415

    categories = taxonomy_of(taxonomy)
    read = read_brief(brief, categories)
    who_writes, who_judges = chosen_endpoints(read, annotators, writer=writer, judge=judge)
    options = stage.SynthesisOptions(
        per_category=per_category,
        seed=seed,
        asked_ratio=asked_ratio,
        n_attempts=attempts,
        near_duplicate_threshold=near_duplicates or None,
        mask_pii=mask_pii,
    )
    wanted = stage.Synthesis(
        taxonomy=categories,
        brief=read,
        writer=who_writes,
        judge=who_judges if judged else None,
        options=options,
        inputs=stage.digests_of(brief, avoid or []),
        avoided=avoid or [],
    )
    folder = answers or stage.answers_folder(out)
    console = Console(stderr=True)
    if dry_run:
        shown.print_estimate(estimate(wanted, folder), console)
        return
    asked = [who_writes, *([who_judges] if judged else [])]
    keys = {} if recorded else show.keys_from_environment(asked, os.environ)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as bars:
        task = bars.add_task("synthesise", total=None)
        outcome = stage.synthesise(
            wanted,
            out,
            folder,
            keys,
            budget=None if recorded else Budget(max_cost_usd),
            on_progress=lambda phase, n_done, n_total: bars.update(
                task, description=phase, completed=n_done, total=n_total
            ),
        )
    if csv is not None and outcome.report is not None:
        write_table(out, csv)
    shown.print_outcome(outcome, options.per_category, console, replayed=folder if recorded else None)
    if outcome.report is None:
        raise typer.Exit(EXIT_INCOMPLETE)
    if any(balance.n_written < options.per_category for balance in outcome.balance.values()):
        raise typer.Exit(EXIT_SHORT)
