"""Appeals in the database: an item of a queue of their own, and what becomes of its answer.

An appeal is an item of kind `appeal`, linked to the item that was answered before. Whoever answered that one does not
see it. Its answer is told to the caller through the outbox, in the transaction of the answer and under its decision id,
so that an answer that is undone in time is not told.
"""

from collections.abc import Mapping
from typing import Any, Final, Protocol

from sqlalchemy import Connection, insert, select, update

from console.review.appeals import ACCEPTED, REJECTED
from console.settings.operations import ReviewSettings
from console.store.appeal_answers import told_document
from console.store.outbox_rows import Kind, WebhookBody, put
from console.store.tables import answers, appeals, items
from schemas import Decision, Verdict

APPEALS_QUEUE: Final = "appeals"
_HOUR_MS: Final = 3_600_000


class Settled(Protocol):
    """An appeal's item that is answered for good, unless that is undone; see console/review/hooks.py."""

    @property
    def item(self) -> Any:
        """The item: `id`, `kind`, `policies`, `chat_id`, `chat_hash`, `verdict_id`."""

    @property
    def outcome(self) -> str:
        """What was decided: allow or block."""

    @property
    def reason(self) -> str | None:
        """A code."""

    @property
    def decision_id(self) -> str:
        """Of the answer."""

    @property
    def at_ms(self) -> int:
        """When it was answered."""

    @property
    def sends_at_ms(self) -> int:
        """When what it causes is sent."""


def item_of_verdict(verdict: Verdict) -> dict[str, Any]:
    """Return the columns of an appeal's item that come from its verdict, the default policy first."""
    named = sorted(verdict.decisions, key=lambda name: (name != verdict.policy.name, name))
    policies = [
        {
            "name": name,
            "version": verdict.decisions[name].version,
            "decision": verdict.decisions[name].decision.value,
            "decided_by": verdict.decisions[name].decided_by.value,
        }
        for name in named
    ]
    return {
        "verdict_id": verdict.verdict_id,
        "chat_id": verdict.chat_id,
        "topic": verdict.source.topic,
        "partition": verdict.source.partition,
        "record_offset": verdict.source.offset,
        "timestamp_ms": verdict.source.timestamp_ms,
        "fingerprint": verdict.content_fingerprint,
        "policies": policies,
        "taxonomy": verdict.taxonomy.model_dump(mode="json"),
        "category": verdict.category.code,
        "evidence": dict(verdict.evidence),
        "language": verdict.language,
        "unevaluated": list(verdict.unevaluated),
        "model": verdict.model.model_dump(mode="json"),
        "risk": verdict.banned_probability,
        "decided_ms": round(verdict.decided_at.timestamp() * 1_000),
    }


_COPIED: Final = (
    "verdict_id",
    "chat_id",
    "topic",
    "partition",
    "record_offset",
    "timestamp_ms",
    "fingerprint",
    "policies",
    "taxonomy",
    "category",
    "evidence",
    "language",
    "unevaluated",
    "model",
    "risk",
    "decided_ms",
)


def item_of_known(connection: Connection, verdict_id: str) -> dict[str, Any] | None:
    """Return the same columns from an item that the database has on a verdict; None where it has none."""
    wanted = select(items).where(
        items.c.verdict_id == verdict_id, items.c.kind.in_(("review", "sample", "appeal")), items.c.chat_id.is_not(None)
    )
    row = connection.execute(wanted.order_by(items.c.id).limit(1)).mappings().first()
    return None if row is None else {name: row[name] for name in _COPIED}


def put_appeal(
    connection: Connection,
    appeal_id: str,
    found: Mapping[str, Any],
    *,
    caller: str,
    reason: str,
    note: str | None,
    webhook_url: str | None,
    chat_hash: str | None,
    settings: ReviewSettings,
    now: int,
) -> None:
    """Add an appeal and its item.

    Args:
        connection: Of `Store.writing`.
        appeal_id: At most 32 characters.
        found: Columns of the item, of `item_of_verdict` or `item_of_known`.
        caller: Name of the key that asks.
        reason: A code.
        note: The caller's words.
        webhook_url: Where the answer goes; checked before.
        chat_hash: Keyed hash of the chat; None without a key.
        settings: Of the queue.
        now: Milliseconds since 1970.

    Raises:
        IntegrityError: somebody appealed against this verdict meanwhile.
    """
    values = {
        **found,
        "kind": "appeal",
        "queue": APPEALS_QUEUE,
        "state": "open",
        "chat_hash": chat_hash,
        "arrived_ms": now,
        "order_ms": now - round(found["risk"] * settings.age_bonus_s * 1_000),
        "n_wanted": 1,
        "n_answers": 0,
        "appealed_id": _appealed(connection, found["verdict_id"], found["chat_id"]),
    }
    (item_id,) = connection.execute(insert(items).values(values)).inserted_primary_key or (0,)
    connection.execute(
        insert(appeals).values(
            id=appeal_id,
            item_id=item_id,
            verdict_id=found["verdict_id"],
            caller=caller,
            reason=reason,
            note=note,
            webhook_url=webhook_url,
            created_ms=now,
        )
    )


def _appealed(connection: Connection, verdict_id: str, chat_id: str | None) -> int | None:
    """Return the item that was answered: on this verdict, else the newest of the chat that somebody answered."""
    earlier = items.c.kind.in_(("review", "sample", "appeal"))
    by_verdict = select(items.c.id).where(items.c.verdict_id == verdict_id, earlier)
    # The verdict that says what a person decided is another one than the verdict that they looked at.
    is_answered = select(answers.c.id).where(answers.c.item_id == items.c.id, answers.c.undone_ms.is_(None)).exists()
    by_chat = select(items.c.id).where(items.c.chat_id == chat_id, earlier, is_answered)
    for wanted in (by_verdict.where(is_answered), by_chat, by_verdict):
        found = connection.execute(wanted.order_by(items.c.id.desc()).limit(1)).scalar()
        if found is not None:
            return int(found)
    return None


def wait_ms(connection: Connection, caller: str, per_hour: int, now: int) -> int:
    """Return after how many milliseconds a key may appeal again; 0: now."""
    since = now - _HOUR_MS
    wanted = select(appeals.c.created_ms).where(appeals.c.caller == caller, appeals.c.created_ms > since)
    newest = connection.execute(wanted.order_by(appeals.c.created_ms.desc()).limit(per_hour)).scalars().all()
    return 0 if len(newest) < per_hour else newest[-1] + _HOUR_MS - now


def on_settled(connection: Connection, settled: Settled) -> None:
    """Note the answer to an appeal, and put it into the outbox for its caller; of other items do nothing.

    Args:
        connection: The answer's.
        settled: What was answered.
    """
    item = settled.item
    if item.kind != "appeal":
        return
    row = connection.execute(select(appeals).where(appeals.c.item_id == item.id)).mappings().first()
    if row is None:
        return
    outcome = outcome_of(_decision_of(item.policies), settled.outcome)
    values = {
        "answered_ms": settled.sends_at_ms,
        "outcome": outcome,
        "decision": settled.outcome,
        "answer_reason": settled.reason,
    }
    connection.execute(update(appeals).where(appeals.c.id == row["id"]).values(values))
    if row["webhook_url"] is None:
        return
    document = told_document(
        row["id"],
        item.verdict_id,
        chat_id=item.chat_id,
        outcome=outcome,
        decision=settled.outcome,
        reason=settled.reason,
        at_ms=settled.at_ms,
    )
    put(
        connection,
        Kind.WEBHOOK,
        settled.decision_id,
        WebhookBody(appeal_id=row["id"], url=row["webhook_url"], document=document),
        chat_id=item.chat_id,
        chat_hash=item.chat_hash,
        not_before_ms=settled.sends_at_ms,
        created_ms=settled.at_ms,
    )


def on_reopened(connection: Connection, item: Any) -> None:
    """Forget the answer to an appeal that was undone; what is in the outbox is cancelled by whoever undoes."""
    if item.kind == "appeal":
        nothing = {"answered_ms": None, "outcome": None, "decision": None, "answer_reason": None}
        connection.execute(update(appeals).where(appeals.c.item_id == item.id).values(nothing))


def outcome_of(before: str, after: str) -> str:
    """Return whether an answer changes the decision: from what passes to what does not, or back.

    Args:
        before: allow, review or block.
        after: allow or block.
    """
    changes = (before == Decision.ALLOW.value) != (after == Decision.ALLOW.value)
    return ACCEPTED if changes else REJECTED


def _decision_of(policies: list[dict[str, Any]]) -> str:
    """Return what was decided: the strictest of what the item's policies say."""
    said = {str(one.get("decision")) for one in policies}
    return next((one.value for one in (Decision.BLOCK, Decision.REVIEW) if one.value in said), Decision.ALLOW.value)
