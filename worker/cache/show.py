"""Print a chat's cached verdict for a person."""

import socket
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import redis
from redis.exceptions import BusyLoadingError, ClusterDownError, InvalidResponse, MasterDownError, MovedError
from rich.console import Console
from rich.table import Table

from schemas import RejectionMarker, Verdict
from schemas.marker import OWED, TOMBSTONE
from worker.cache.address import shown_address
from worker.cache.connection import connect
from worker.cache.errors import acl_rules, causes, remedy
from worker.cache.values import CacheValues, ValueRefused
from worker.errors import Degraded
from worker.process.printable import cell
from worker.settings.redis import RedisSettings

_IS_A_CLUSTER: Final = "it is a Redis Cluster, which is not supported; expected one Redis"
_FAULTS: Final[Mapping[type[BaseException], str]] = {
    BusyLoadingError: "it is loading its data; try again when it has started",
    # Before the error of clusters, which redis-py derives it from.
    MasterDownError: "it is a replica without its master; ask the master, or wait",
    MovedError: _IS_A_CLUSTER,
    ClusterDownError: _IS_A_CLUSTER,
    InvalidResponse: "what answers there is no Redis; check host and port in MODERATION_REDIS__URL",
    socket.gaierror: "the name of its host is not known; check the host in MODERATION_REDIS__URL, and the DNS",
    ConnectionRefusedError: "nothing listens there; check the port in MODERATION_REDIS__URL; is it started?",
    ConnectionResetError: "it closed the connection; do redis:// (plain) and rediss:// (TLS) fit the port?",
}
"""By the class of an error, or of what is behind it."""
_SAID: Final[Mapping[str, str]] = {
    "WRONGTYPE": "the key holds no text; expected what a worker wrote; does another program use this key prefix?",
    "max number of clients": "it has as many clients as it takes; raise its maxclients, or stop some",
    "DENIED": "its protected mode refuses clients of other machines; give it a password, or bind it to loopback",
}
"""By the beginning of what Redis says, where redis-py has no class for it."""
_COLOURS = {"allow": "green", "review": "yellow", "block": "red"}


def cached_outcome(settings: RedisSettings, chat_id: str, *, timeout_s: float) -> Verdict | RejectionMarker | None:
    """Return what the cache says of a chat's newest record, None where it says nothing.

    Raises:
        Degraded: Redis does not answer, or answers something else, or what it holds is not believed.
    """
    client = connect(settings, timeout_s=timeout_s)
    values = CacheValues(settings.key_prefix, settings.signing_keys)
    try:
        raw: bytes | None = client.get(values.key(chat_id))  # type: ignore[assignment]  # the client is synchronous
        return None if raw is None else values.read(chat_id, raw)
    except redis.RedisError as error:
        problem = remedy(error, acl_rules(settings.key_prefix)) or fault(error, timeout_s=timeout_s)
        raise Degraded(f"Redis at {_address(settings)}: {problem} ({type(error).__name__})") from error
    except ValueRefused as error:
        raise Degraded(
            f"{values.key(chat_id)} holds something that is not believed ({error.reason}); expected a verdict or a "
            "marker as this release writes it, signed where MODERATION_REDIS__SIGNING_KEY_FILE is set; see RUNBOOK, "
            "VerdictstreamCacheValuesRefused"
        ) from error
    finally:
        client.close()


def fault(error: redis.RedisError, *, timeout_s: float) -> str:
    """Return what keeps Redis from answering and what to do, for a person; nothing of what Redis said is quoted.

    Args:
        error: Not one that `worker.cache.errors.remedy` knows.
        timeout_s: How long was waited, seconds.
    """
    for cause in causes(error):
        for kind, text in _FAULTS.items():
            if isinstance(cause, kind):
                return text
    for start, text in _SAID.items():
        if str(error).startswith(start):
            return text
    if isinstance(error, redis.TimeoutError):
        return (
            f"no answer within {timeout_s:g} s; is it stopped or overloaded? Do redis:// (plain) and "
            "rediss:// (TLS) fit the port?"
        )
    if isinstance(error, redis.ResponseError):
        return "it refuses the command; expected Redis from 6.2 on, or Valkey, which is no cluster"
    return "no connection; check the address in MODERATION_REDIS__URL and the server"


def _address(settings: RedisSettings) -> str:
    return "" if settings.url is None else shown_address(settings.url.get_secret_value())


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


def _moment(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds")


def print_verdict(verdict: Verdict, console: Console) -> None:
    """Print one verdict as a table."""
    colour = _COLOURS[verdict.decision.value]
    table = Table(title=cell(f"chat {verdict.chat_id}"), title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    # Ids are copied from here: whole, on two lines where need be.
    table.add_column(overflow="fold")
    table.add_row("decision", f"[{colour}]{verdict.decision.value}[/] ({verdict.decided_by.value})")
    if verdict.model_decision is not None:
        table.add_row("the rule alone", verdict.model_decision.value)
    if verdict.override_revision:
        by = "" if verdict.actor is None else f", by {verdict.actor}"
        table.add_row("override", cell(f"revision {verdict.override_revision}{by}"))
    if verdict.previous is not None:
        held = verdict.previous
        table.add_row("held by", f"{held.decision.value} at offset {held.offset}, {_moment(held.decided_at)}")
    if verdict.unevaluated:
        table.add_row("not judged", cell(", ".join(verdict.unevaluated)))
    others = [(name, one) for name, one in sorted(verdict.decisions.items()) if name != verdict.policy.name]
    if others:
        lines = (f"{name} {one.version}: {one.decision.value} ({one.decided_by.value})" for name, one in others)
        table.add_row("other policies", "\n".join(map(cell, lines)))
    table.add_row("category", cell(f"{verdict.category.code} {verdict.category.name}"))
    table.add_row("taxonomy", cell(str(verdict.taxonomy)))
    table.add_row("banned probability", f"{verdict.banned_probability:.4f}")
    table.add_row("banned-to-safe risk", f"{verdict.banned_to_safe_risk:.4f}")
    likely = sorted(verdict.probabilities.items(), key=lambda item: -item[1])[:3]
    table.add_row(
        "most probable",
        "\n".join(f"{probability:.3f}  {code}" for code, probability in likely),
    )
    table.add_row("policy", cell(f"{verdict.policy.name} {verdict.policy.version}"))
    table.add_row("model", cell(f"{verdict.model.name} {verdict.model.version}"))
    source = verdict.source
    table.add_row("record", cell(f"{source.topic}[{source.partition}]@{source.offset}"))
    table.add_row("decided at", _moment(verdict.decided_at))
    table.add_row("verdict id", cell(verdict.verdict_id))
    if verdict.replay_id is not None:
        table.add_row("replay", cell(verdict.replay_id))
    console.print(table)
