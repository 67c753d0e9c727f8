"""`python -m model openrtb`: verdicts in, what the ad exchange is told of each out; one JSON line each, in order."""

import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final

import jiter
import orjson
import typer

from schemas import RejectionMarker, TaxonomyError, Verdict, decode_marker, decode_verdict, taxonomy_of
from schemas.exchange import (
    DEFAULT_ID_KEY,
    ExchangeOptions,
    Form,
    Signal,
    SignalDecision,
    document,
    opaque_id,
    signal_of,
)

EXIT_REFUSED: Final = 3
NOT_A_VERDICT: Final = "not_a_verdict"
_MIN_KEY_BYTES: Final = 16
_MAX_NAMED: Final = 5


class NotAnOutcome(ValueError):  # noqa: N818  the name says what was found
    """A line is neither a verdict nor a marker nor null."""


@dataclass
class Account:
    """What was read; what the last line on standard error says."""

    n_lines: int = 0
    n_rejected: int = 0
    first_rejected: int = 0
    """Number of the line."""
    by_decision: Counter[str] = field(default_factory=Counter)
    policies: set[str] = field(default_factory=set)
    """All that the verdicts name."""
    has_policy: bool = False
    """Whether a verdict has a decision under the policy that was asked for."""


def outcome_of(line: bytes) -> Verdict | RejectionMarker | None:
    """Return what a line holds: a verdict, a marker, or null, which is what a cache says of a missing key.

    Raises:
        NotAnOutcome: it holds something else.
    """
    try:
        found = jiter.from_json(line, allow_inf_nan=False)
        if found is None:
            return None
        # What has `rejected` is no verdict, whatever else it says.
        return decode_marker(line) if isinstance(found, dict) and "rejected" in found else decode_verdict(line)
    except ValueError:
        raise NotAnOutcome from None


def line_of(signal: Signal, form: Form, options: ExchangeOptions) -> dict[str, Any]:
    """Return one line of output; `bid` says whether a bid request may be sent at all."""
    return {
        "id": signal.id,
        "decision": signal.decision.value,
        "bid": signal.may_bid,
        "document": document(signal, form, options),
    }


def openrtb(
    verdicts: Annotated[str, typer.Argument(help="File of verdicts, one JSON line each, or - for standard input.")],
    *,
    form: Annotated[Form, typer.Option(help="In which form each is written.")] = Form.OPENRTB,
    policy: Annotated[
        str | None, typer.Option(help="Name of the policy that decides.", show_default="each verdict's default policy")
    ] = None,
    taxonomy: Annotated[
        str, typer.Option(help="One that ships, or a file: its iab_content says which ids a category has.")
    ] = "chat-13",
    cattax: Annotated[int, typer.Option(help="7: IAB Content Taxonomy 3.0; 9: 3.1.")] = 7,
    segtax: Annotated[
        int | None,
        typer.Option(help="Your registered number for the segments, from 500 on; needed unless --no-segments."),
    ] = None,
    no_segments: Annotated[bool, typer.Option("--no-segments", help="Leave content.data out.")] = False,
    provider: Annotated[str, typer.Option(help="Who says it: the name of content.data.")] = "verdictstream",
    key_prefix: Annotated[str, typer.Option(help="Begins each key of key-values, 12 characters at most.")] = "vs_",
    id_key_file: Annotated[
        Path | None,
        typer.Option(help="Secret under which chat_ids are hashed; without it whoever knows a chat_id knows its hash."),
    ] = None,
    plain_id: Annotated[bool, typer.Option("--plain-id", help="Send the chat_id itself as content.id.")] = False,
) -> None:
    """Print what the ad exchange is told of each verdict: OpenRTB 2.6, Prebid's first-party data or key-values.

    One JSON line each, in order: {"id", "decision", "bid", "document"}. `bid` is false and `document` null where no bid
    request is to be sent. A marker or null is `unknown`; a line that is none of these prints {"rejected", "line"}.
    """
    if form is not Form.KEY_VALUES and (segtax is None) != no_segments:
        raise typer.BadParameter(
            "found neither or both of --segtax and --no-segments; expected the number that is registered for your "
            "segments in the IAB Tech Lab's segtax.md (a pull request), or --no-segments",
            param_hint="--segtax",
        )
    try:
        options = ExchangeOptions(cattax=cattax, segtax=segtax, provider=provider, key_prefix=key_prefix)
        crosswalk = taxonomy_of(taxonomy)
    except (TaxonomyError, ValueError) as error:
        raise typer.BadParameter(str(error)) from None
    key = _key(id_key_file)
    account = Account()
    for number, line in _lines(verdicts):
        account.n_lines += 1
        try:
            outcome = outcome_of(line)
        except NotAnOutcome:
            account.n_rejected += 1
            account.first_rejected = account.first_rejected or number
            _print({"rejected": NOT_A_VERDICT, "line": number})
            continue
        if isinstance(outcome, Verdict):
            account.policies |= outcome.decisions.keys()
            account.has_policy |= policy is None or policy in outcome.decisions
        signal = signal_of(
            outcome,
            policy=policy,
            taxonomy=crosswalk,
            identify=str if plain_id else lambda chat_id: opaque_id(chat_id, key),
        )
        account.by_decision[signal.decision.value] += 1
        _print(line_of(signal, form, options))
    sys.stdout.buffer.flush()
    _tell(account, policy)


def _print(line: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")


def _key(path: Path | None) -> bytes:
    if path is None:
        return DEFAULT_ID_KEY
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise typer.BadParameter(f"{path}: cannot be read ({error.strerror})", param_hint="--id-key-file") from None
    if len(key) < _MIN_KEY_BYTES:
        raise typer.BadParameter(
            f"{path}: has {len(key)} bytes; expected a random secret of at least {_MIN_KEY_BYTES}",
            param_hint="--id-key-file",
        )
    return key


def _lines(source: str) -> Iterator[tuple[int, bytes]]:
    """Yield number (from 1) and text of the lines that are not blank."""
    if source == "-":
        yield from _numbered(sys.stdin.buffer)
        return
    path = Path(source)
    if not path.is_file():
        raise typer.BadParameter(
            f"{source}: not a file; expected JSON lines, or - for standard input", param_hint="VERDICTS"
        )
    with path.open("rb") as lines:
        yield from _numbered(lines)


def _numbered(lines: Any) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(lines, start=1):
        if text := line.strip():
            yield number, text


def _tell(account: Account, policy: str | None) -> None:
    """Say on standard error what no bid may be sent for and what was not read; end with 3 where nothing is of use."""
    if n_blocked := account.by_decision[SignalDecision.BLOCK]:
        typer.echo(f"{n_blocked} of {account.n_lines} lines: block, no bid request", err=True)
    if account.n_rejected:
        is_all = account.n_rejected == account.n_lines
        typer.echo(
            f"{'error' if is_all else 'warning'}: {account.n_rejected} of {account.n_lines} lines are no verdict, the "
            f"first is line {account.first_rejected}; expected verdicts as on the topic, markers, or null",
            err=True,
        )
        if is_all:
            raise typer.Exit(EXIT_REFUSED)
    if account.policies and not account.has_policy:
        names = sorted(account.policies)
        more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
        named = ", ".join(names[:_MAX_NAMED]) + more
        typer.echo(
            f"error: no verdict has a decision under policy {policy!r}; found {named}; name one of them", err=True
        )
        raise typer.Exit(EXIT_REFUSED)
