"""Read the commands' arguments, and print what a stage did: a table for people on stderr, one JSON line on stdout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import typer
from rich.console import Console
from rich.table import Table

from schemas.taxonomy import Taxonomy
from training_pipeline.data.errors import DataError

if TYPE_CHECKING:  # these import the client and numpy, which --help does not need
    from training_pipeline.data.annotator_config import Annotator
    from training_pipeline.data.label import AnnotatorAccount
    from training_pipeline.data.stage_files import StageReport

_N_CONFUSIONS_SHOWN: Final = 8
_RESERVED_SPLITS: Final = frozenset({"", "splits", "splits.rejects"})


def chosen_annotators(annotators: "Sequence[Annotator]", only: Sequence[str]) -> "list[Annotator]":
    """Return the annotators asked for; all where none is named.

    Raises:
        DataError: there is none of that name.
    """
    names = [annotator.name for annotator in annotators]
    if unknown := [name for name in only if name not in names]:
        raise DataError(f"--only: no annotator {', '.join(unknown)}; expected some of {', '.join(names)}")
    return [annotator for annotator in annotators if not only or annotator.name in only]


def keys_from_environment(annotators: "Sequence[Annotator]", environment: Mapping[str, str]) -> dict[str, str | None]:
    """Return each annotator's key, None where it needs none.

    Raises:
        DataError: a variable is not set.
    """
    needed = {annotator.name: annotator.api_key_env for annotator in annotators}
    if missing := sorted({name for name in needed.values() if name is not None and not environment.get(name)}):
        raise DataError(f"{', '.join(missing)} not set; expected the annotator's key in it; export it and run again")
    return {name: None if variable is None else environment[variable] for name, variable in needed.items()}


def parse_ratios(texts: Sequence[str]) -> dict[str, float]:
    """Read `name=share` arguments.

    Raises:
        DataError: one is of another form, or a name comes twice or cannot name a file.
    """
    ratios: dict[str, float] = {}
    for text in texts:
        name, _, share = text.partition("=")
        usable = name.replace("_", "").replace("-", "").isalnum() and name not in _RESERVED_SPLITS | ratios.keys()
        try:
            ratios[name] = float(share)
        except ValueError:
            usable = False
        if not usable:
            raise DataError(f"--ratio: found {text!r}; expected name=share, such as train=0.8, each name once")
    return ratios


def print_stage(report: "StageReport", console: Console) -> None:
    """Print what a stage wrote and rejected."""
    table = Table(title=f"{report.stage}: {report.n_written} chats")
    table.add_column("rejected because")
    table.add_column("chats", justify="right")
    for reason, n_chats in report.n_rejected_by_reason.items():
        table.add_row(reason, str(n_chats))
    console.print(table)
    _print_labels(report.details, console)
    if deleted := report.details.get("n_deleted_offsets"):
        console.print(
            f"the range begins where retention ended: offsets deleted before it, per partition: {deleted}; records of "
            "the range may be among them",
            highlight=False,
        )
    fields = {"stage", "n_written", "n_rejected_by_reason", "outputs"}
    print_json(report.model_dump(mode="json", include=fields) | _short_details(report.details))


def refuse_where_nothing_is_left(report: "StageReport", out: Path) -> None:
    """Refuse an input of which every chat was rejected; call it when the report has been printed.

    Raises:
        DataError: that is so; it names the commonest reason, with the first error.
    """
    n_by_reason = report.n_rejected_by_reason
    if report.n_written or not n_by_reason:
        return
    reason = max(n_by_reason, key=lambda name: n_by_reason[name])
    rejects = out.with_suffix(".rejects.jsonl")
    with rejects.open("rb") as lines:
        first: dict[str, Any] = next((reject for reject in map(orjson.loads, lines) if reject["reason"] == reason), {})
    raise DataError(
        f"no chat is left: {sum(n_by_reason.values())} were rejected; the commonest reason: {reason} "
        f"({n_by_reason[reason]}), first {first.get('position')}: {first.get('error') or 'see there'}; expected some "
        f"that are not; all are in {rejects}"
    )


def _print_labels(details: Mapping[str, Any], console: Console) -> None:
    """Print what a table's labels became."""
    if by_category := details.get("n_chats_by_category"):
        console.print("chats by label: " + ", ".join(f"{code} {n}" for code, n in by_category.items()), highlight=False)
    for code, spellings in details.get("n_rows_by_spelling", {}).items():
        found = ", ".join(f"{spelling!r} {n}" for spelling, n in spellings.items())
        console.print(f"spellings of {code}, taken for one label: {found}", highlight=False)
    if refused := details.get("n_rows_by_refused_label"):
        console.print("labels refused: " + ", ".join(f"{label!r} {n}" for label, n in refused.items()), highlight=False)


def _short_details(details: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is long: matrices and tables are in the report's file."""
    return {name: value for name, value in details.items() if name not in {"pairs", "categories", "annotators"}}


def print_accounts(accounts: "Sequence[AnnotatorAccount]", n_rejected: int, out: Path, console: Console) -> None:
    """Print what each annotator did and cost, and keep it as `<out>/last_run.json`."""
    table = Table(title="label")
    for name in ("annotator", "labelled", "refused", "bad answer", "failed", "reused", "left", "tokens in/out", "USD"):
        table.add_column(name, justify="left" if name == "annotator" else "right")
    for account in accounts:
        counts = [str(account.n_by_status[name]) for name in ("labelled", "refusal", "bad_answer", "failed")]
        tokens = f"{account.n_input_tokens}/{account.n_output_tokens}"
        cost = "-" if account.cost_usd is None else f"{account.cost_usd:.4f}"
        table.add_row(account.annotator, *counts, str(account.n_reused), str(account.n_left), tokens, cost)
    console.print(table)
    for account in accounts:
        if account.stopped and account.n_left:
            typer.echo(f"error: {account.stopped}", err=True)
    rows = [account.model_dump(mode="json") | {"n_left": account.n_left} for account in accounts]
    document = {"stage": "label", "n_rejected": n_rejected, "accounts": rows}
    (out / "last_run.json").write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    print_json(document)


def print_agreement(report: "StageReport", taxonomy: Taxonomy, console: Console) -> None:
    """Print kappas, the most frequent confusions, and how often each category is agreed on."""
    from training_pipeline.data.agreement import top_confusions  # noqa: PLC0415

    details = report.details
    pairs = Table(title=f"agreement; Fleiss' kappa {_number(details['fleiss_kappa'])}")
    for name in ("annotators", "chats", "agree", "Cohen's kappa", "banned against safe"):
        pairs.add_column(name, justify="left" if name == "annotators" else "right")
    for pair in details["pairs"]:
        ratios = (pair["agreement_ratio"], pair["cohen_kappa"], pair["banned_safe_disagreement_ratio"])
        pairs.add_row(" - ".join(pair["annotators"]), str(pair["n_common"]), *map(_number, ratios))
    console.print(pairs)
    categories = Table(title="per category")
    for name in ("category", "chats", "agreement"):
        categories.add_column(name, justify="left" if name == "category" else "right")
    for code, found in details["categories"].items():
        agreement = _number(found["positive_agreement_ratio"])
        categories.add_row(f"{code} {taxonomy.names[code]}", str(found["n_chats_named"]), agreement)
    console.print(categories)
    confusions = [f"{a}-{b} {n}" for a, b, n in top_confusions(details, _N_CONFUSIONS_SHOWN)]
    console.print(f"most confused: {', '.join(confusions) or 'none'}", highlight=False)
    console.print(f"for a person: {details['n_queued_by_reason']}", highlight=False)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def print_json(document: object) -> None:
    """Print the line for machines."""
    typer.echo(orjson.dumps(document).decode())
