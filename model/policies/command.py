"""`python -m model thresholds`: the policy table of a bundle, for people and for programs."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from model.bundle.bundle import DEFAULT_BUNDLE_PATH, Bundle, load_bundle
from model.bundle.policy_file import PolicyError, load_policy
from model.policies.folder import read_folder
from model.policies.rules import policies_over
from model.policies.table import policy_rows
from schemas import Policy, UncalibratedLanguages
from schemas.policy_table import FloorThresholds, PolicyTableRow, encode_policy_row

_PIPE_COLUMNS: Final = 160


def thresholds(
    *,
    bundle: Annotated[
        Path, typer.Option("--bundle", help="Bundle folder, or a registry.", show_default="the shipped bundle")
    ] = DEFAULT_BUNDLE_PATH,
    policy: Annotated[
        Path | None,
        typer.Option(
            "--policy", exists=True, dir_okay=False, help="Policy file.", show_default="the bundle's default policy"
        ),
    ] = None,
    policies: Annotated[
        Path | None, typer.Option("--policies", exists=True, file_okay=False, help="Folder of more policies.")
    ] = None,
    floor: Annotated[
        str, typer.Option("--floor", help="Codes, comma-separated, that no policy may allow, besides the taxonomy's.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print the rows as JSON lines, one a policy.")] = False,
) -> None:
    """Print by which scores policies allow and block over a bundle: all that decides, for whoever holds verdicts.

    The default policy's row is the first, as in a worker with the same settings.
    With --json the lines are the records of topic `verdict-policies` (schemas/json/policy-table.v1.schema.json).
    """
    loaded = load_bundle(bundle)
    default = load_policy(policy, loaded)
    codes = frozenset(code.strip() for code in floor.split(",") if code.strip())
    rules = policies_over(loaded, [default, *_folder(policies, loaded, default)], floor=codes)
    rows = policy_rows(rules, loaded.ref, loaded.taxonomy)
    if as_json:
        for row in rows:
            sys.stdout.buffer.write(encode_policy_row(row) + b"\n")
        sys.stdout.buffer.flush()
        return
    _print(rows, Console(width=None if sys.stdout.isatty() else _PIPE_COLUMNS, highlight=False))


def _folder(folder: Path | None, bundle: Bundle, default: Policy) -> Iterable[Policy]:
    """Return the policies of a folder.

    Raises:
        PolicyError: one of its files is refused; names all that are.
    """
    if folder is None:
        return ()
    reading = read_folder(folder, bundle, default)
    if reading.refused:
        raise PolicyError("\n".join(reading.refused.values()))
    return reading.policies.values()


def _print(rows: Sequence[PolicyTableRow], console: Console) -> None:
    first = rows[0]
    console.print(
        f"bundle {first.model.name} {first.model.version} {first.model.digest}, taxonomy {first.taxonomy}"
        + ("" if first.calibrated else ", not calibrated: no score is allowed or blocked"),
        markup=False,
        soft_wrap=True,
    )
    numbers = {"justify": "right", "no_wrap": True}
    table = Table(
        "policy",
        "must",
        "should",
        "may",
        Column("allow below", **numbers),  # type: ignore[arg-type]  # one of rich's literals
        Column("block from", **numbers),  # type: ignore[arg-type]
        "besides",
    )
    for row in rows:
        table.add_row(
            escape(f"{row.policy.name} {row.policy.version}"),
            *(" ".join(codes) for codes in (row.must, row.should, row.may)),
            *_thresholds(row),
            escape("\n".join(_besides(row))),
        )
    if first.floor is not None:
        table.add_section()
        table.add_row("floor of all", " ".join(first.floor.codes), "", "", *_thresholds(first.floor), "")
    console.print(table)
    console.print(
        "A score is the sum of a verdict's evidence over must and should (allow), over must (block), at most 1. Allow: "
        "below, and the category is none of them.",
        markup=False,
    )


def _thresholds(of: PolicyTableRow | FloorThresholds) -> tuple[str, str]:
    """Return both thresholds as people read them."""
    allow = "never" if of.allow_below == 0 else "always" if of.allow_below > 1 else f"{of.allow_below:.6f}"
    return allow, "never" if of.block_from > 1 else f"{of.block_from:.6f}"


def _besides(row: PolicyTableRow) -> list[str]:
    """Return what else the policy says, where that is not the usual."""
    usual = UncalibratedLanguages.REVIEW
    said = [
        ("for", row.requested_by),
        ("languages", None if row.languages is None else " ".join(row.languages)),
        ("other languages", None if row.uncalibrated_languages is usual else row.uncalibrated_languages.value),
        ("unevaluated", None if row.unevaluated is usual else row.unevaluated.value),
        ("longest message", row.max_message_characters),
        ("holds a block for", f"{row.hold_block_s:g} s" if row.hold_block_s else None),
        ("from", row.valid_from),
        ("until", row.valid_until),
    ]
    return [f"{name} {value}" for name, value in said if value is not None]
