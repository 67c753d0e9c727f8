"""What an appeal's caller is told, and the answer to an appeal whose chat was erased before anybody looked again."""

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, select, update

from console.store.outbox_bodies import Kind, WebhookBody
from console.store.outbox_rows import put
from console.store.tables import appeals, outbox

ERASED_FIRST: Final = "erased"
"""The outcome where the chat was erased first: nobody decides on it any longer."""


def told_document(
    appeal_id: str,
    verdict_id: str,
    *,
    chat_id: str | None,
    outcome: str,
    decision: str | None,
    reason: str | None,
    at_ms: int,
) -> dict[str, Any]:
    """Return what is sent to the caller's address, JSON-ready.

    Args:
        appeal_id: Of the appeal.
        verdict_id: The verdict that it is against.
        chat_id: Its chat; None: it was erased.
        outcome: accepted, rejected or erased.
        decision: allow or block; None of an erased chat.
        reason: A code.
        at_ms: When it was answered, milliseconds since 1970.
    """
    return {
        "appeal_id": appeal_id,
        "verdict_id": verdict_id,
        "chat_id": chat_id,
        "outcome": outcome,
        "decision": decision,
        "reason": reason,
        "answered_at": datetime.fromtimestamp(at_ms / 1_000, UTC).isoformat(timespec="milliseconds"),
    }


def answer_erased(connection: Connection, item_ids: Collection[int], now_ms: int) -> None:
    """Answer the open appeals among erased items, and tell those callers who left an address.

    Args:
        connection: Of `Store.writing`.
        item_ids: So many as one statement takes.
        now_ms: Now.
    """
    is_open = (appeals.c.item_id.in_(item_ids), appeals.c.answered_ms.is_(None))
    found = connection.execute(select(appeals.c.id, appeals.c.verdict_id, appeals.c.webhook_url).where(*is_open)).all()
    connection.execute(update(appeals).where(*is_open).values(answered_ms=now_ms, outcome=ERASED_FIRST))
    for row in found:
        if row.webhook_url is None:
            continue
        document = told_document(
            row.id, row.verdict_id, chat_id=None, outcome=ERASED_FIRST, decision=None, reason=None, at_ms=now_ms
        )
        body = WebhookBody(appeal_id=row.id, url=row.webhook_url, document=document)
        # No decision is behind it: it goes by the appeal's own name, once.
        put(connection, Kind.WEBHOOK, row.id, body, chat_id=None, chat_hash=None, not_before_ms=now_ms)


def unname(connection: Connection, row_id: int, body: bytes) -> None:
    """Take the chat's name out of a row that tells a caller their answer; the answer stays and is sent."""
    told = json.loads(body)
    if isinstance(told, dict) and isinstance(told.get("document"), dict):
        told["document"]["chat_id"] = None
    values = {"body": json.dumps(told).encode(), "chat_id": None, "chat_hash": None}
    connection.execute(update(outbox).where(outbox.c.id == row_id).values(values))
