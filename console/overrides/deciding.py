"""From what a person asks to a row of the outbox, or a refusal with its reason."""

import asyncio
import secrets
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Final, NamedTuple

from pydantic import TypeAdapter, ValidationError

from console.errors import Problem
from console.operations import Operations
from console.outbox.assembly import Outbox
from console.overrides.documents import ClearRequest, DecisionAnswer, OverrideRequest
from console.pipeline.newest import newest
from console.pipeline.overrides import Decided, Seen, in_force, not_lifted, refusal_of
from console.port.threads import DATABASE
from console.review.known import known_verdict
from console.service import Service, not_configured
from console.store.outbox_rows import EVERY_POLICY, Kind, OverrideClearBody, OverrideSetBody, put, sending
from console.store.outbox_shown import waiting_of_chat
from console.store.store import now_ms
from schemas import Verdict
from schemas.override import ActorId

_ACTOR: Final = TypeAdapter(ActorId)
_LOOK_EVERY_S: Final = 0.05


class Sender(NamedTuple):
    """What decisions go through."""

    operations: Operations
    outbox: Outbox


class Put(NamedTuple):
    """A decision that stands in the outbox."""

    decision_id: str
    kind: Kind
    not_lifted: list[str]


def sender_of(service: Service) -> Sender:
    """Return what decisions go through.

    Raises:
        Problem: 501, no pipeline is followed, or it lacks a topic for decisions.
    """
    operations = service.following()
    kafka = operations.worker.kafka
    if kafka.overrides_topic is None or kafka.decisions_topic is None or not operations.worker.erasure.hash_keys:
        raise not_configured(
            "MODERATION_KAFKA__OVERRIDES_TOPIC, MODERATION_KAFKA__DECISIONS_TOPIC and MODERATION_ERASURE__HASH_KEY_FILE"
        )
    if operations.outbox is None:
        raise not_configured("an outbox")
    return Sender(operations, operations.outbox)


def decide(sender: Sender, asked: OverrideRequest, caller: str) -> Put:
    """Put a decision into the outbox.

    Args:
        sender: What it goes through.
        asked: The decision.
        caller: Who decides.

    Raises:
        Problem: the chat or the verdict is not known, the policy decides on no verdict, or it would not count.
        PipelineAway, StoreAway: the newest verdict cannot be read, or nothing can be written.
    """
    operations, actor = sender.operations, actor_of(caller)
    verdict = newest(operations.worker, asked.chat_id)
    if verdict is None:
        raise _unknown_chat()
    if asked.policy != EVERY_POLICY and asked.policy not in verdict.decisions:
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "unknown_policy",
            f"the policy decides nothing on this chat; expected * or one of {', '.join(sorted(verdict.decisions))}",
            param="policy",
        )
    now = now_ms()
    seen = _seen(operations, asked, verdict)
    decided = Decided(
        seen,
        asked.decision,
        asked.policy,
        asked.whole_chat,
        None if asked.expires_in_s is None else timedelta(seconds=asked.expires_in_s),
        actor,
        asked.reason,
        datetime.fromtimestamp(now / 1_000, UTC),
    )
    refusal = refusal_of(decided, sender.outbox.overrides.of_chat(asked.chat_id), decided.at)
    if refusal is not None:
        raise Problem(HTTPStatus.CONFLICT, "outweighed", refusal)
    body = OverrideSetBody(
        verdict_id=seen.verdict_id,
        chat_id=seen.chat_id,
        fingerprint=seen.content_fingerprint,
        source=seen.source,
        decision=asked.decision,
        policy=asked.policy,
        whole_chat=asked.whole_chat,
        expires_in_s=asked.expires_in_s,
        actor=actor,
        reason=asked.reason,
        decided_ms=now,
        seen_revision=seen.override_revision,
    )
    decision_id = _put(sender, Kind.OVERRIDE_SET, body, asked.chat_id, now)
    barriers = not_lifted(verdict, asked.decision, asked.policy)
    return Put(decision_id, Kind.OVERRIDE_SET, [one.value for one in barriers])


def clear(sender: Sender, asked: ClearRequest, caller: str) -> Put:
    """Put into the outbox that what stands on a chat is taken back.

    Raises:
        Problem: nothing stands, and nothing is on its way.
        PipelineAway, StoreAway: what stands is not known, or nothing can be written.
    """
    actor, now = actor_of(caller), now_ms()
    standing = in_force(sender.outbox.standing(asked.chat_id), datetime.now(UTC))
    with sender.operations.store.reading() as connection:
        n_waiting = waiting_of_chat(connection, asked.chat_id)
    if not n_waiting and not any(asked.policy in {None, one.policy} for one in standing):
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "no_override",
            "nothing that was decided stands on this chat, or not for this policy; GET /v1/overrides shows what does",
        )
    body = OverrideClearBody(chat_id=asked.chat_id, policy=asked.policy, actor=actor, reason=asked.reason)
    return Put(_put(sender, Kind.OVERRIDE_CLEAR, body, asked.chat_id, now), Kind.OVERRIDE_CLEAR, [])


async def answer_of(sender: Sender, put: Put, wait_s: float) -> DecisionAnswer:
    """Return how far a decision has come, once it is sent or the time is over.

    Args:
        sender: What it goes through.
        put: The decision.
        wait_s: How long to wait for it.
    """
    loop = asyncio.get_running_loop()
    until = loop.time() + wait_s
    while True:
        found = await DATABASE.call(_sending, sender, put)
        if found.state != "waiting" or loop.time() >= until:
            return found
        await asyncio.sleep(_LOOK_EVERY_S)


def actor_of(caller: str) -> str:
    """Return who decides, as decisions name them.

    Raises:
        Problem: the name cannot stand there.
    """
    try:
        return _ACTOR.validate_python(caller)
    except ValidationError:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "bad_actor",
            "the name of who asks cannot stand in a decision; expected printable ASCII without blanks, at most 128",
        ) from None


def _sending(sender: Sender, put: Put) -> DecisionAnswer:
    with sender.operations.store.reading() as connection:
        found = sending(connection, put.decision_id, put.kind)
    if found is None:
        # Its chat was erased meanwhile, and the row with it.
        return DecisionAnswer(
            decision_id=put.decision_id, state="cancelled", sent_at_ms=None, error="the chat was erased"
        )
    return DecisionAnswer(
        decision_id=put.decision_id,
        state=found.state,
        sent_at_ms=found.sent_ms,
        # Of one that waits it is what the last try met, addresses of the cluster among it: GET /v1/outbox tells admins.
        error=None if found.state == "waiting" else found.error,
        not_lifted=put.not_lifted,
    )


def _seen(operations: Operations, asked: OverrideRequest, verdict: Verdict) -> Seen:
    """Return the verdict that was looked at: an earlier one where the chat has gone on since."""
    revision = verdict.override_revision
    if asked.verdict_id in {None, verdict.verdict_id}:
        return Seen(verdict.chat_id, verdict.verdict_id, verdict.content_fingerprint, verdict.source, revision)
    with operations.store.reading() as connection:
        found = known_verdict(connection, asked.verdict_id or "")
    if found is None or found.chat_id != asked.chat_id:
        raise Problem(
            HTTPStatus.CONFLICT,
            "verdict_changed",
            "the chat has a newer verdict, and this one is not known any more; look again, and decide on the newer one",
            param="verdict_id",
        )
    return Seen(found.chat_id, found.verdict_id, found.content_fingerprint, found.source, revision)


def _put(sender: Sender, kind: Kind, body: OverrideSetBody | OverrideClearBody, chat_id: str, now: int) -> str:
    decision_id = secrets.token_hex(16)
    with sender.operations.store.writing() as connection:
        put(
            connection,
            kind,
            decision_id,
            body,
            chat_id=chat_id,
            chat_hash=sender.operations.hash_of(chat_id),
            not_before_ms=now,
            created_ms=now,
        )
    return decision_id


def _unknown_chat() -> Problem:
    return Problem(
        HTTPStatus.NOT_FOUND,
        "unknown_chat",
        "this chat has no verdict to which a decision can answer, neither in Redis nor on the topic; check the id",
    )
