"""Print a chat's cached verdict for a person."""

import redis
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas import RejectionMarker, Verdict
from schemas.marker import OWED, TOMBSTONE
from worker.cache.connection import connect
from worker.cache.errors import acl_rules, remedy
from worker.cache.values import CacheValues, ValueRefused
from worker.errors import Degraded
from worker.settings.redis import RedisSettings

_COLOURS = {"allow": "green", "review": "yellow", "block": "red"}


def cached_outcome(settings: RedisSettings, chat_id: str, *, timeout_s: float) -> Verdict | RejectionMarker | None:
    """Return what the cache says of a chat's newest record, None where it says nothing.

    Raises:
        Degraded: Redis does not answer, or what it holds is not believed.
    """
    client = connect(settings, timeout_s=timeout_s)
    values = CacheValues(settings.key_prefix, settings.signing_keys)
    try:
        raw: bytes | None = client.get(values.key(chat_id))  # type: ignore[assignment]  # the client is synchronous
        return None if raw is None else values.read(chat_id, raw)
    except redis.RedisError as error:
        problem = remedy(error, acl_rules(settings.key_prefix)) or (
            "Redis does not answer; expected the cache at MODERATION_REDIS__URL; check the address and the server"
        )
        raise Degraded(f"{problem} ({type(error).__name__})") from error
    except ValueRefused as error:
        raise Degraded(
            f"{values.key(chat_id)} holds something that is not believed ({error.reason}); expected a verdict or a "
            "marker as this release writes it, signed where MODERATION_REDIS__SIGNING_KEY_FILE is set; see RUNBOOK, "
            "VerdictstreamCacheValuesRefused"
        ) from error
    finally:
        client.close()


def rejection_text(marker: RejectionMarker) -> str:
    """Return why a chat with a marker has no verdict, for a person."""
    source = marker.source
    record = f"its newest record {source.topic}[{source.partition}]@{source.offset}"
    if marker.rejected == OWED:
        return (
            f"Redis has not been given the outcome of {record}, which is on the topics; `python -m worker project` "
            "writes it"
        )
    if marker.rejected == TOMBSTONE:
        return f"{record} erased it"
    return f"{record} was rejected ({marker.rejected})"


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print one verdict as a table."""
    colour = _COLOURS[verdict.decision.value]
    table = Table(title=escape(f"chat {verdict.chat_id}"), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    # Ids are copied from here: whole, on two lines where need be.
    table.add_column(overflow="fold")
    table.add_row("decision", f"[{colour}]{verdict.decision.value}[/] ({verdict.decided_by.value})")
    table.add_row("category", escape(f"{verdict.category.code} {verdict.category.name}"))
    table.add_row("taxonomy", escape(str(verdict.taxonomy)))
    table.add_row("banned probability", f"{verdict.banned_probability:.4f}")
    table.add_row("banned-to-safe risk", f"{verdict.banned_to_safe_risk:.4f}")
    likely = sorted(verdict.probabilities.items(), key=lambda item: -item[1])[:3]
    table.add_row(
        "most probable",
        "\n".join(f"{probability:.3f}  {code}" for code, probability in likely),
    )
    table.add_row("policy", escape(f"{verdict.policy.name} {verdict.policy.version}"))
    table.add_row("model", escape(f"{verdict.model.name} {verdict.model.version}"))
    source = verdict.source
    table.add_row("record", escape(f"{source.topic}[{source.partition}]@{source.offset}"))
    table.add_row("decided at", verdict.decided_at.isoformat(timespec="milliseconds"))
    table.add_row("verdict id", verdict.verdict_id)
    if verdict.replay_id is not None:
        table.add_row("replay", verdict.replay_id)
    console.print(table)
