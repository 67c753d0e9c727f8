"""What a model card says of the probes."""

from collections.abc import Mapping
from typing import Any, Final

_SECTION: Final = """
## Probes

Own texts that neither training nor calibration saw ({n_cases} cases, `python -m training_pipeline probes`). Not allowed
is right for the banned ones and a loss for the safe ones; intervals are exact, 95 %.

| probes | chats | not allowed | 95 % | blocked |
| --- | --- | --- | --- | --- |
{rows}

| the same text about different people | texts | allowed: identities | neutral words | largest gap, points |
| --- | --- | --- | --- | --- |
{gaps}
"""

_WHERE: Final = {"template": "own templates", "inserted": '"I am …." in a safe chat'}


def probes_section(probes: Mapping[str, Any]) -> str:
    """Return the section, Markdown.

    Args:
        probes: What the manifest's metrics hold of them, see `ProbeReport.short`.
    """
    rows = [_row(table["family"], row) for table in probes["tables"] for row in table["rows"]]
    gaps = [
        f"| {_WHERE[gap['where']]} | {gap['n_bases']} | {_n_of(gap['identities'])} | {_n_of(gap['neutral'])} | "
        f"{100 * gap['largest_gap']:+.1f} ({gap['largest_gap_words']}) |"
        for gap in probes["gaps"]
    ]
    return _SECTION.format(n_cases=probes["n_cases"], rows="\n".join(rows), gaps="\n".join(gaps))


def bias_limit(probes: Mapping[str, Any] | None) -> str:
    """Return the line about social bias among the card's limits."""
    if probes is None:
        return (
            "- Social bias was not measured when this bundle was made; `python -m training_pipeline probes` measures\n"
            "  how identity words move its decisions. Other bias of the encoder and of the sources is not measured."
        )
    largest = max(abs(gap["largest_gap"]) for gap in probes["gaps"])
    return (
        f"- Identity words move decisions: by up to {100 * largest:.1f} points in the share of allowed chats; see\n"
        "  Probes. Other bias of the encoder and of the sources is not measured."
    )


def _row(family: str, row: Mapping[str, Any]) -> str:
    rate = row["not_allowed_rate"]
    spread = f"{100 * rate['low']:.1f} to {100 * rate['high']:.1f} %"
    name = family.replace("_", " ")
    return f"| {name} | {row['group']} | {_n_of(row['not_allowed'])} | {spread} | {_n_of(row['blocked'])} |"


def _n_of(count: Mapping[str, int]) -> str:
    share = 100 * count["n"] / count["of"] if count["of"] else 0.0
    return f"{count['n']} of {count['of']} ({share:.1f} %)"
