"""`python -m schemas taxonomy`: check a taxonomy file, list those that ship, show one."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.exchange import SPECIAL_CATEGORY_IDS
from schemas.taxonomy import Taxonomy, TaxonomyError, load_taxonomy, shipped_names, shipped_taxonomy, taxonomy_of

EXIT_REFUSED: Final = 1

app = typer.Typer(no_args_is_help=True, help="Taxonomies: the categories of a classifier, as TOML files.")
_out = Console()
_err = Console(stderr=True)


@app.command()
def check(file: Annotated[Path, typer.Argument(help="A taxonomy in TOML.", show_default=False)]) -> None:
    """Say all that is wrong with a taxonomy file, and what its users may miss.

    Exit codes: 0 it is a taxonomy; 1 it is none.
    """
    try:
        taxonomy = load_taxonomy(file)
    except TaxonomyError as error:
        _refuse(error)
    for warning in warnings(taxonomy):
        _out.print(f"[yellow]warning[/]: {escape(warning)}", highlight=False, soft_wrap=True)
    banned = ", ".join(code for code in taxonomy.codes if code in taxonomy.banned) or "nothing"
    counts = f"{len(taxonomy.categories)} categories; by default banned: {banned}"
    _out.print(escape(f"{file}: taxonomy {taxonomy.ref}, {counts}"), highlight=False, soft_wrap=True)


def warnings(taxonomy: Taxonomy) -> Iterator[str]:
    """Yield what is legal in a taxonomy and may still not be meant."""
    if not taxonomy.banned:
        yield "bans nothing: every chat will be allowed under its default policy"
    bare = [category.code for category in taxonomy.categories if not category.description.strip()]
    if bare:
        yield (
            f"no description: {', '.join(bare)}; annotators and language models that label by this file see the name "
            "alone, and `describe` needs examples of these"
        )
    special = [
        category.code for category in taxonomy.categories if not SPECIAL_CATEGORY_IDS.isdisjoint(category.iab_content)
    ]
    if special:
        yield (
            f"iab_content of {', '.join(special)} is special category data: in an OpenRTB request no user's id may "
            "stand beside it; the other forms leave it out"
        )
    by_name: dict[str, list[str]] = {}
    for category in taxonomy.categories:
        by_name.setdefault(category.name.casefold(), []).append(category.code)
    for codes in by_name.values():
        if len(codes) > 1:
            yield f"{', '.join(codes)} have one name; people cannot tell them apart"


@app.command("list")
def list_shipped() -> None:
    """List the taxonomies that ship with the package.

    Exit code: 0.
    """
    table = Table("name", "version", "categories", "banned by default", "subject")
    for name in shipped_names():
        taxonomy = shipped_taxonomy(name)
        banned = " ".join(code for code in taxonomy.codes if code in taxonomy.banned) or "-"
        table.add_row(*map(escape, (name, taxonomy.version, str(len(taxonomy.codes)), banned, taxonomy.subject)))
    _out.print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="One that ships, or a file.", show_default=False)],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print it as one JSON line.")] = False,
) -> None:
    """Show the categories of a taxonomy.

    Exit codes: 0 shown; 1 there is none of that name, or the file is no taxonomy.
    """
    try:
        taxonomy = taxonomy_of(name)
    except TaxonomyError as error:
        _refuse(error)
    if as_json:
        typer.echo(json.dumps(taxonomy.document(), ensure_ascii=False, separators=(",", ":")))
        return
    table = Table("code", "name", "banned", "description", title=escape(str(taxonomy.ref)), show_lines=True)
    for category in taxonomy.categories:
        banned = "yes" if category.banned else ""
        table.add_row(*map(escape, (category.code, category.name, banned, category.description)))
    _out.print(table)


def _refuse(error: TaxonomyError) -> NoReturn:
    _err.print(f"[bold red]error[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
    raise typer.Exit(EXIT_REFUSED)
