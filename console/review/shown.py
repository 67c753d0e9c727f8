"""What of an item leaves the server before it is answered.

Of a blind item that is nothing of the model's, and nothing that leads to it: a gold item looks as a sample does.
"""

from dataclasses import asdict
from typing import Any, Final

from console.review.item import Answered, Claim, Item, ItemKind, Page, Preview

_ALWAYS: Final = (
    "id", "queue", "state", "taxonomy", "arrived_ms", "claimed_by", "claim_until_ms", "was_skipped"
)  # fmt: skip
_SEEING: Final = (
    "kind", "verdict_id", "chat_id", "fingerprint", "policies", "category", "evidence", "language", "unevaluated",
    "model", "risk", "decided_ms", "n_wanted", "n_answers", "appealed_id",
)  # fmt: skip


def shown(item: Item) -> dict[str, Any]:
    """Return what a reviewer may see of an item, JSON-ready; times in milliseconds since 1970."""
    document: dict[str, Any] = {name: getattr(item, name) for name in _ALWAYS}
    document |= {"codes": item.codes, "is_blind": item.is_blind, "is_disputed": item.is_disputed}
    if item.is_blind:
        return document | dict.fromkeys(_SEEING) | {"kind": ItemKind.SAMPLE.value, "source": None, "earlier": None}
    source = item.source
    return document | {
        **{name: getattr(item, name) for name in _SEEING},
        "source": None if source is None else source.model_dump(),
        "earlier": None if item.earlier is None else asdict(item.earlier),
    }


def shown_page(page: Page) -> dict[str, Any]:
    """Return a page, JSON-ready."""
    rest = {name: getattr(page, name) for name in ("total", "oldest_ms", "n_late", "p95_wait_ms", "after")}
    return {"items": [shown(item) for item in page.items], **rest}


def shown_claim(claim: Claim) -> dict[str, Any]:
    """Return a claim, JSON-ready."""
    return {
        "item": shown(claim.item),
        "token": claim.token,
        "until_ms": claim.until_ms,
        "opinions": [asdict(opinion) for opinion in claim.opinions],
    }


def shown_preview(preview: Preview) -> dict[str, Any]:
    """Return a bulk action's preview, JSON-ready."""
    sample = [{**shown(item), "alike": preview.alike.get(item.id)} for item in preview.sample]
    return {"n_matching": preview.n_matching, "sample": sample}


def shown_answered(answered: Answered) -> dict[str, Any]:
    """Return an answer as it was taken, JSON-ready. Of a blind item it does not say whether anything is sent."""
    return {
        "answer_id": answered.answer_id,
        "decision_id": answered.decision_id,
        "item": shown(answered.item),
        "sends_at_ms": None if answered.item.is_blind else answered.sends_at_ms,
    }
