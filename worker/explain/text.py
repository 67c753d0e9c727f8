"""What was found of a chat, for a person."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas import Decision, Verdict
from worker.explain.changes import Change
from worker.explain.document import moment
from worker.explain.explained import Explained
from worker.explain.judges import Judge
from worker.explain.look import TopicLook
from worker.explain.outcomes import ChatHistory, ChatOutcome, OutcomeKind, reason_of
from worker.process.printable import printable
from worker.record import Place

_COLOURS: Final = {Decision.ALLOW: "green", Decision.REVIEW: "yellow", Decision.BLOCK: "red"}
_MOST_CATEGORIES: Final = 4
"""Banned categories that are named, the largest evidence first; `--json` has all."""
_DIGEST_SHOWN: Final = 19

Row = tuple[str, str]


def print_history(
    chat_id: str,
    at: datetime | None,
    history: ChatHistory,
    explanations: Mapping[Place, Explained],
    console: Console,
) -> None:
    """Print every kept outcome, in the order of publication, each with what explains it."""
    when = "now" if at is None else f"at {at.isoformat()}"
    up_to = "" if at is None else f", published up to {at.isoformat()}"
    found = "outcome" if history.n_found == 1 else "outcomes"
    console.print(Text(f"chat {printable(chat_id)}: {history.n_found} {found}{up_to}", style="bold"))
    if history.n_left_out:
        console.print(Text(f"the {history.n_left_out} oldest are left out; --limit shows more"))
    for outcome in history.outcomes():
        console.print()
        _print_outcome(
            outcome, explanations.get(outcome.place), console, in_force=when if outcome is history.in_force else ""
        )


def looked_through(looks: Sequence[TopicLook]) -> list[str]:
    """Return one line for each topic: which partitions, how many records, and why all of them."""
    lines = []
    for look in looks:
        n_partitions = len(look.ranges)
        if not look.read:
            where = "not reached"
        elif look.whole_because is None:
            where = f"partition {look.partition} of {n_partitions}, where murmur2 puts the chat"
        else:
            where = f"{len(look.read)} of {n_partitions} partitions ({look.whole_because})"
        lines.append(f"{look.topic}: {where}, {look.n_records:,} committed records")
    return lines


def _print_outcome(outcome: ChatOutcome, explanation: Explained | None, console: Console, *, in_force: str) -> None:
    said = outcome.kind.value.replace("_", " ")
    style = "magenta"
    if explanation is not None:
        said = explanation.verdict.decision.value
        style = _COLOURS[explanation.verdict.decision]
    title = Text(f"{moment(outcome.published_ms) or 'no time'}  ").append(said, style=f"bold {style}")
    console.print(title.append(f"  in force {in_force}" if in_force else "", style="bold"))
    table = Table(show_header=False, box=None, padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    # Ids are copied from here: whole, on two lines where need be.
    table.add_column(overflow="fold")
    for name, value in _rows(outcome, explanation):
        table.add_row(name, Text(printable(value)))
    console.print(table)


def _rows(outcome: ChatOutcome, explanation: Explained | None) -> Iterator[Row]:
    topic, partition, offset = outcome.place
    yield "lies at", f"{topic}[{partition}]@{offset}"
    if (source := outcome.source) is not None:
        stamp = moment(source.timestamp_ms) or "no timestamp"
        yield "answers", f"{source.topic}[{source.partition}]@{source.offset}, {stamp}"
    if explanation is not None:
        yield from _verdict_rows(explanation)
    elif outcome.kind is OutcomeKind.TOMBSTONE:
        yield "means", "the chat is forgotten: what was decided before no longer counts"
    elif outcome.kind is OutcomeKind.UNREADABLE:
        yield "means", "not a record of this release; a later one wrote it, or somebody else"
    elif outcome.letter is not None:
        yield "reason", f"{reason_of(outcome)}: {outcome.letter.error}"
        yield "means", "the chat has no verdict from here on"


def _verdict_rows(explanation: Explained) -> Iterator[Row]:
    verdict, judge, model = explanation.verdict, explanation.judge, explanation.verdict.model
    if verdict.event_id is not None:
        yield "event", str(verdict.event_id)
    yield "decided at", verdict.decided_at.isoformat(timespec="milliseconds")
    where = "from the cache" if verdict.cache_hit else "classified"
    replay = "" if verdict.replay_id is None else f", by replay {verdict.replay_id}"
    yield "answered by", f"{verdict.stage}, {where}{replay}"
    yield "model", f"{model.name} {model.version} ({model.digest[:_DIGEST_SHOWN]}…), taxonomy {verdict.taxonomy}"
    yield "category", f"{verdict.category.code} {verdict.category.name}" + _probability(verdict)
    yield "policy", f"{verdict.policy.name} {verdict.policy.version}" + ("" if judge is None else _policy(judge))
    yield "score", _score(verdict, judge)
    risk = f"{number(verdict.banned_to_safe_risk)} of banned chats would pass"
    rate = "" if judge is None else f"; at most {number(judge.rule.policy.max_banned_to_safe_rate)} may"
    yield "risk", risk + rate
    if verdict.unevaluated:
        yield "not evaluated", ", ".join(verdict.unevaluated)
    if verdict.previous is not None:
        earlier = verdict.previous
        yield "previous", f"{earlier.decision.value} on offset {earlier.offset}, {earlier.decided_at.isoformat()}"
    if verdict.kind.value != "event":
        yield "kind", f"{verdict.kind.value}: the record was judged before"
    if verdict.override_revision:
        actor = "" if verdict.actor is None else f", by {verdict.actor}"
        yield "override", f"revision {verdict.override_revision}{actor}"
    of_model = "" if verdict.model_decision is None else f"; the policy's own rule says {verdict.model_decision.value}"
    yield "decided by", verdict.decided_by.value + of_model
    for name, other in verdict.decisions.items():
        if name != verdict.policy.name:
            yield "also", f"{name} {other.version}: {other.decision.value} ({other.decided_by.value})"
    yield from _change_rows(explanation)
    yield "verdict id", verdict.verdict_id


def _probability(verdict: Verdict) -> str:
    return f" ({number(verdict.probabilities[verdict.category.code])})"


def _policy(judge: Judge) -> str:
    policy, (allow, block) = judge.rule.policy, judge.borders
    if not policy.counted:
        return ", bans nothing"
    allowed = "allows none" if allow is None else f"allows up to {number(allow)}"
    borders = f"; {allowed}, {'blocks none' if block is None else f'blocks from {number(block)}'}"
    proof = "" if judge.is_proven else " (same name and version; the id does not prove that it is this file)"
    return f", bans {', '.join(sorted(policy.counted))}{borders}{proof}"


def _score(verdict: Verdict, judge: Judge | None) -> str:
    """Say what the score is the sum of, and where a piece of the chat said more than its newest messages."""
    total = number(verdict.banned_probability)
    if judge is None or not judge.rule.policy.counted <= verdict.evidence.keys():
        return total
    banned = sorted(judge.rule.policy.counted, key=lambda code: (-verdict.evidence[code], code))
    shown = [
        f"{code} {number(verdict.evidence[code])}"
        + ("*" if verdict.evidence[code] > verdict.probabilities[code] else "")
        for code in banned[:_MOST_CATEGORIES]
    ]
    rest = f" + {len(banned) - len(shown)} more" if len(banned) > len(shown) else ""
    star = "; *: of a piece of the chat" if any(one.endswith("*") for one in shown) else ""
    return f"{total} = {' + '.join(shown)}{rest}{star}"


def _change_rows(explanation: Explained) -> Iterator[Row]:
    if explanation.unknown is not None:
        yield "not explained", explanation.unknown
        return
    if explanation.judge is not None and not explanation.judge.rule.policy.counted:
        yield "would change", "only another policy: this one bans nothing"
        return
    n_shown = 0
    for change in explanation.changes:
        if change.what == "evidence":
            n_shown += 1
            if n_shown > _MOST_CATEGORIES:
                continue
        yield "would change", change_text(change)
    if not explanation.changes:
        yield "would change", "nothing of the evidence alone"


def change_text(change: Change) -> str:
    """Say one change in one sentence."""
    to = change.decision.value
    if change.what == "category":
        return f"{to}, were {change.code} the most probable category"
    if change.what == "unevaluated":
        return f"{to}, had everything been evaluated ({', '.join(change.reasons)})"
    what = "a score" if change.what == "score" else f"evidence for {change.code}"
    found, needed = change.found or 0.0, change.needed or 0.0
    side = "at least" if needed > found else "at most"
    return f"{to} with {what} of {side} {number(needed)} (is {number(found)})"


def number(value: float) -> str:
    """Return a share with up to six decimals."""
    return f"{value:.6f}".rstrip("0").rstrip(".") if value else "0"
