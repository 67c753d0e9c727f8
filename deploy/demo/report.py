"""Print the summary of a run for people."""

import json
from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from deploy.demo.account import VerdictSeen
from deploy.demo.events import Kind
from deploy.demo.live_table import STYLES
from deploy.demo.model_in_use import ModelInUse
from deploy.demo.shown_chats import ShownChat
from deploy.demo.summary import LabelAgreement, Latency, Summary
from schemas import Decision, Verdict
from testkit.ledger import Faults

_MOST_PLACES: Final = 10
_DIGITS: Final = 4
_MOST_EMPTY_ROWS: Final = 20
"""A larger taxonomy's categories are shown where they have a verdict."""


def print_summary(
    console: Console,
    summary: Summary,
    model: ModelInUse,
    example: Verdict | None,
    shown: Sequence[tuple[ShownChat, VerdictSeen]] = (),
) -> None:
    """Print some chats, every number of the summary with its meaning, then one verdict as it is on the wire."""
    console.print()
    if shown:
        console.print(_chat_table(shown))
    console.print(_verdict_table(summary, model))
    console.print(_count_table(summary))
    console.print(_speed_table(summary))
    if summary.labels is not None:
        console.print(_label_table(summary.labels))
    if example is not None:
        _print_example(console, example)


def print_problems(console: Console, problems: Faults) -> None:
    """Name the records whose account does not balance."""
    for text, places in (
        ("published but never answered", problems.missing),
        ("answered more than once", problems.doubled),
        ("answered but never published", problems.unknown),
    ):
        if places:
            more = f" and {len(places) - _MOST_PLACES} more" if len(places) > _MOST_PLACES else ""
            named = ", ".join(str(place) for place in places[:_MOST_PLACES])
            console.print(f"error: {len(places)} records {text}: {named}{more}", markup=False, highlight=False)


def _chat_table(shown: Sequence[tuple[ShownChat, VerdictSeen]]) -> Table:
    table = Table(title="Some of the chats, with their verdicts", title_justify="left", show_lines=True)
    for heading, width in (("the user's last message", 56), ("category", None), ("decision", None)):
        table.add_column(heading, max_width=width)
    for chat, verdict in shown:
        category = f"{verdict.category.code} {verdict.category.name}"
        table.add_row(Text(chat.text), Text(category), Text(verdict.decision.value, style=STYLES[verdict.decision]))
    return table


def _verdict_table(summary: Summary, model: ModelInUse) -> Table:
    title = f"Verdicts by category of {model.taxonomy.ref} and decision"
    table = Table("category", title=title, title_justify="left", show_footer=True)
    table.columns[0].footer = "all"
    for decision in Decision:
        table.add_column(
            decision.value, str(summary.n_by_decision[decision.value]), justify="right", style=STYLES[decision]
        )
    table.add_column("all", str(summary.n_verdicts), justify="right")
    found = summary.n_by_category_and_decision
    shown = {code: counts for code, counts in found.items() if len(found) <= _MOST_EMPTY_ROWS or any(counts.values())}
    for code, counts in shown.items():
        banned = " (banned)" if code in model.banned else ""
        numbers = (str(n or "") for n in (*counts.values(), sum(counts.values())))
        table.add_row(escape(f"{code} {model.taxonomy.names[code]}{banned}"), *numbers)
    if len(shown) < len(found):
        table.add_row(f"{len(found) - len(shown)} other categories", *[""] * (len(Decision) + 1))
    return table


def _count_table(summary: Summary) -> Table:
    table = _plain_table("What was published, and how it ended")
    table.add_row("events published", str(summary.n_events), _listed(summary.n_by_kind))
    table.add_row("verdicts", str(summary.n_verdicts), f"{summary.n_cache_hits} of them from the cache")
    table.add_row("dead letters", str(summary.n_dead_letters), _listed(summary.n_by_reason))
    if summary.n_dead_letters:
        table.add_row("", "", _dead_letters_text(summary))
    ended = "each event ended exactly once" if summary.balanced else "THE ACCOUNT DOES NOT BALANCE"
    detail = f"{summary.n_missing} missing, {summary.n_doubled} doubled, {summary.n_unknown} unknown"
    table.add_row("account", "ok" if summary.balanced else "FAILED", f"{ended}: {detail}")
    return table


def _dead_letters_text(summary: Summary) -> str:
    """Say where dead letters come from: the demo makes some records malformed, and the file may hold others."""
    n_made = summary.n_dead_letters_by_kind.get(Kind.MALFORMED.value, 0)
    n_own = summary.n_dead_letters - n_made
    own = f" + {n_own} of the events file itself, which no verdict can be given on" if n_own else ""
    return f"= {n_made} that the demo made malformed{own}"


def _speed_table(summary: Summary) -> Table:
    spent = summary.durations
    table = _plain_table("How fast")
    table.add_row(
        "throughput",
        f"{summary.backlog_events_per_s:,.0f} events/s",
        f"backlog of {summary.backlog_n_events} events published at once, all answered after {spent.backlog_s:.1f} s",
    )
    for name, latency, which in (
        ("latency", summary.latency, "paced events, from append to reader"),
        ("  classified", summary.latency_classified, "of them"),
        ("  from the cache", summary.latency_cached, "of them"),
    ):
        table.add_row(name, *_latency_cells(latency, which))
    table.add_row("start", f"{spent.stack_start_s:.1f} s", "Kafka and Redis")
    table.add_row("", f"{spent.worker_start_s:.1f} s", "worker, from its start to its first answer")
    return table


def _latency_cells(latency: Latency | None, which: str) -> tuple[str, str]:
    if latency is None:
        return "-", "no such event"
    percentiles = f"p50 {latency.p50_ms:.0f} ms, p99 {latency.p99_ms:.0f} ms"
    return percentiles, f"longest {latency.max_ms:.0f} ms; {latency.n} {which}"


def _label_table(labels: LabelAgreement) -> Table:
    table = _plain_table("Verdicts against the labels of the events file")
    same = labels.n_same_category / labels.n_labelled
    table.add_row("same category", f"{same:.1%}", f"{labels.n_same_category} of {labels.n_labelled} labelled chats")
    for name, counts, wrong in (("banned", labels.banned, "allow"), ("safe", labels.safe, "block")):
        n = sum(counts.values())
        share = f"{counts[wrong] / n:.1%}" if n else "-"
        table.add_row(f"{name} -> {wrong}", share, f"{n} chats labelled {name}: {_listed(counts)}")
    table.add_row("", "", "no measure of quality where the bundle was trained on these chats, as on the sample")
    return table


def _print_example(console: Console, verdict: Verdict) -> None:
    console.print("One verdict as it is on the wire (probabilities rounded, likeliest first)", style="italic")
    document = verdict.model_dump(mode="json")
    for name in ("probabilities", "evidence"):
        likely = sorted(document[name].items(), key=lambda item: -item[1])[:_MOST_EMPTY_ROWS]
        document[name] = {code: round(value, _DIGITS) for code, value in likely}
    for name, value in document.items():
        line = Text(f"  {name}: ", style="cyan")
        console.print(line.append(json.dumps(value), style="default"), soft_wrap=True)


def _plain_table(title: str) -> Table:
    return Table(title=title, title_justify="left", show_header=False, box=None, padding=(0, 2, 0, 0))


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in counts.items() if n) or "none"
