"""What a settled item sends: rows of the outbox, in the transaction of the answer that settled it.

| item | allow, block | what is sent |
| --- | --- | --- |
| review | the decision | an override for each policy that asks, and one report for each reviewer who said so |
| appeal | the decision | an override for all policies, and the report |
| sample | where it is not what the model said | a report |
| gold | never | nothing |

What another policy decided by itself stays: its banned categories are not those that the reviewer judged by.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Connection, RowMapping, update

from console.review.item import EVERY_POLICY, Item, ItemKind
from console.review.wish import NO_REASON, UNDONE
from console.store.outbox_rows import Body, FeedbackBody, Kind, OverrideClearBody, OverrideSetBody, cancel, put, sending
from console.store.tables import outbox
from schemas import Decision, Source, TaxonomyRef

_ID_BYTES: Final = 16


def send_settled(
    connection: Connection, item: Item, settling: RowMapping, said: Sequence[RowMapping], sends_at_ms: int
) -> bool:
    """Put what a settled item sends into the outbox.

    Args:
        connection: Of `Store.writing`.
        item: What was answered.
        settling: The answer that settled it.
        said: The answers that agree with it, itself among them.
        sends_at_ms: When to send.

    Returns:
        Whether anything is sent.
    """
    source = item.source
    if item.kind == ItemKind.GOLD or source is None or item.chat_id is None:
        return False
    is_sample = item.kind == ItemKind.SAMPLE
    if is_sample and not _contradicts(item, settling):
        return False
    if not is_sample:
        _put_overrides(connection, item, source, settling, sends_at_ms)
    for answer in said:
        is_new = answer["id"] == settling["id"]
        if is_new or not _is_revived(connection, answer, sends_at_ms):
            _put_feedback(connection, item, source, answer, sends_at_ms)
    return True


def take_back(
    connection: Connection, item: Item, decision_ids: Sequence[str], *, actor: str, new_id: str, now: int
) -> None:
    """Cancel what answers have in the outbox; what is on its way already is followed by its opposite.

    A report that was sent stays: the reviewer's next one on this text counts in its place.

    Args:
        connection: Of `Store.writing`.
        item: What was answered.
        decision_ids: Of its answers.
        actor: Who undoes.
        new_id: decision_id of the decision that takes the override back.
        now: Milliseconds since 1970.
    """
    for decision_id in [one for answer_id in decision_ids for one in _ids_of(answer_id, item)]:
        if cancel(connection, decision_id, now):
            continue
        override = sending(connection, decision_id, Kind.OVERRIDE_SET)
        if override is None or override.state in {"cancelled", "refused"} or item.chat_id is None:
            continue
        body = OverrideClearBody(chat_id=item.chat_id, policy=None, actor=actor, reason=UNDONE, undoes=decision_id)
        put(
            connection,
            Kind.OVERRIDE_CLEAR,
            new_id,
            body,
            chat_id=item.chat_id,
            chat_hash=item.chat_hash,
            not_before_ms=now,
        )
        new_id = _id_beside(new_id, decision_id)


def model_decision(item: Item) -> str | None:
    """Return what was decided without people: of a sample by its stratum's policy, else by its queue's."""
    for policy in item.policies:
        if policy.get("name") == item.queue:
            return str(policy.get("decision"))
    return str(item.policies[0].get("decision")) if item.policies else None


def _contradicts(item: Item, answer: RowMapping) -> bool:
    is_other_category = answer["category"] is not None and answer["category"] != item.category
    return is_other_category or str(answer["outcome"]) != model_decision(item)


def _put_overrides(connection: Connection, item: Item, source: Source, answer: RowMapping, sends_at_ms: int) -> None:
    policies = _policies_of(item) if answer["policy"] is None else [answer["policy"]]
    # As many ids as policies, or more where the answer names one.
    for decision_id, policy in zip(_ids_of(answer["decision_id"], item), policies, strict=False):
        body = OverrideSetBody(
            verdict_id=item.verdict_id,
            chat_id=item.chat_id or "",
            fingerprint=item.fingerprint or "",
            source=source,
            decision=Decision(answer["outcome"]),
            policy=policy,
            whole_chat=answer["whole_chat"],
            actor=answer["reviewer"],
            reason=answer["reason"] or NO_REASON,
            decided_ms=answer["at_ms"],
        )
        _put(connection, item, answer, body, sends_at_ms, decision_id)


def _policies_of(item: Item) -> list[str]:
    """Return for which policies an answer counts that names none."""
    if item.kind != ItemKind.REVIEW:
        return [EVERY_POLICY]
    return [str(policy["name"]) for policy in item.policies] or [EVERY_POLICY]


def _ids_of(decision_id: str, item: Item) -> list[str]:
    """Return the ids of an answer's overrides, one a policy: the first has the answer's own."""
    return [decision_id, *(_id_beside(decision_id, policy) for policy in _policies_of(item)[1:])]


def _id_beside(decision_id: str, name: str) -> str:
    return hashlib.blake2b(f"{decision_id}\n{name}".encode(), digest_size=_ID_BYTES).hexdigest()


def _put_feedback(connection: Connection, item: Item, source: Source, answer: RowMapping, sends_at_ms: int) -> None:
    body = FeedbackBody(
        verdict_id=item.verdict_id,
        source=source,
        chat_id=item.chat_id,
        fingerprint=item.fingerprint,
        taxonomy=TaxonomyRef.model_validate(item.taxonomy),
        category=answer["category"],
        decision=Decision(answer["outcome"]),
        reporter=answer["reviewer"],
        note=answer["note"],
        reported_ms=answer["at_ms"],
    )
    _put(connection, item, answer, body, sends_at_ms, answer["decision_id"])


def _is_revived(connection: Connection, answer: RowMapping, sends_at_ms: int) -> bool:
    """Say whether the report of an earlier answer is there, and let it be sent if it was cancelled.

    It was where somebody else's answer on the item has been undone, and is given again.
    """
    own = (outbox.c.decision_id == answer["decision_id"], outbox.c.kind == Kind.FEEDBACK.value)
    values = {"cancelled_ms": None, "not_before_ms": sends_at_ms}
    revived = connection.execute(update(outbox).where(*own, outbox.c.cancelled_ms.is_not(None)).values(values))
    return revived.rowcount > 0 or sending(connection, answer["decision_id"], Kind.FEEDBACK) is not None


def _put(  # noqa: PLR0917  as rows of the outbox have them
    connection: Connection, item: Item, answer: RowMapping, body: Body, sends_at_ms: int, decision_id: str
) -> None:
    put(
        connection,
        Kind.FEEDBACK if isinstance(body, FeedbackBody) else Kind.OVERRIDE_SET,
        decision_id,
        body,
        chat_id=item.chat_id,
        chat_hash=item.chat_hash,
        not_before_ms=sends_at_ms,
        created_ms=answer["at_ms"],
    )
