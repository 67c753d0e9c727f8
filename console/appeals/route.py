"""POST /v1/appeals, GET /v1/appeals/{appeal_id}, GET /v1/appeals."""

import math
import secrets
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from sqlalchemy.exc import IntegrityError
from starlette.responses import Response

from console.appeals.documents import AppealAnswer, AppealRequest, CallersAnswer
from console.errors import Problem
from console.openapi import FOLLOWING, body_of
from console.operations import Operations
from console.outbox.target import TargetRefused, target_of
from console.pipeline.newest import newest_at_hand
from console.port.documents import read_document
from console.port.guard import caller_of, counted
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.port.threads import PIPELINE
from console.review.appealing import item_of_known, item_of_verdict, put_appeal, wait_ms
from console.review.appeals import Appeal, appeal_of, appeal_on, reliabilities, told
from console.service import Service, not_configured
from console.store.store import now_ms


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["appeals"])

    @router.post(
        "/v1/appeals",
        dependencies=[needs(Role.CLIENT)],
        status_code=HTTPStatus.ACCEPTED,
        response_model=AppealAnswer,
        responses=FOLLOWING,
        openapi_extra=body_of(AppealRequest),
        summary="Object to a verdict.",
    )
    async def appeal(request: HttpRequest) -> Response:
        """Have a person look again, who is not the one that answered before; the same objection twice is one."""
        operations, caller = service.following(), counted(request.scope)
        async with service.bodies.of(request) as raw:
            asked = read_document(raw, AppealRequest)
        found = await PIPELINE.call(_appeal, operations, asked, caller.name)
        return JsonResponse(found, HTTPStatus.ACCEPTED)

    @router.get(
        "/v1/appeals/{appeal_id}",
        dependencies=[needs(Role.CLIENT)],
        response_model=AppealAnswer,
        responses=FOLLOWING,
        summary="An appeal of one's own, and its answer.",
    )
    async def appeal_state(appeal_id: str, request: HttpRequest) -> Response:
        """Answer with how it stands; an appeal of another key's is not found."""
        operations, caller = service.following(), caller_of(request.scope)
        return JsonResponse(await PIPELINE.call(_own, operations, appeal_id, caller.name))

    @router.get(
        "/v1/appeals",
        dependencies=[needs(Role.VIEWER)],
        response_model=CallersAnswer,
        responses=FOLLOWING,
        summary="How often each caller's appeals are right.",
    )
    async def callers() -> Response:
        """Answer with each caller's share of accepted appeals, as a figure of their reliability."""
        operations = service.following()
        return JsonResponse({"callers": await PIPELINE.call(_callers, operations)})

    return router


def _appeal(operations: Operations, asked: AppealRequest, caller: str) -> dict[str, Any]:
    """Add an appeal and return it; one's own earlier one on the same verdict is returned as it stands."""
    _check_target(operations, asked)
    found = _found(operations, asked)
    if found is None:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "unknown_verdict",
            "no verdict of this chat or id is known here; check it; by id only those are that a person was asked about",
        )
    now = now_ms()
    try:
        with operations.store.writing() as connection:
            there = appeal_on(connection, found["verdict_id"])
            if there is None:
                _check_rate(wait_ms(connection, caller, operations.settings.appeals.per_hour, now))
                put_appeal(
                    connection,
                    secrets.token_hex(16),
                    found,
                    caller=caller,
                    reason=asked.reason,
                    note=asked.note,
                    webhook_url=asked.webhook_url,
                    chat_hash=None if found["chat_id"] is None else operations.hash_of(found["chat_id"]),
                    settings=operations.settings.review,
                    now=now,
                )
    except IntegrityError:
        # Somebody else was first; it may have been the same caller.
        pass
    with operations.store.reading() as connection:
        there = appeal_on(connection, found["verdict_id"])
        if there is None or there.caller != caller:
            raise Problem(
                HTTPStatus.CONFLICT,
                "already_appealed",
                "somebody else appealed against this verdict; its answer holds for all; GET /v1/verdicts shows it",
            )
        return _shown(there, told(connection, there), now)


def _found(operations: Operations, asked: AppealRequest) -> dict[str, Any] | None:
    if asked.chat_id is not None:
        verdict = newest_at_hand(operations.worker, asked.chat_id)
        return None if verdict is None else item_of_verdict(verdict)
    with operations.store.reading() as connection:
        return item_of_known(connection, asked.verdict_id or "")


def _check_target(operations: Operations, asked: AppealRequest) -> None:
    if asked.webhook_url is None:
        return
    if operations.outbox is None or not operations.outbox.hosts.allowed:
        raise not_configured("CONSOLE_APPEALS__WEBHOOK_HOSTS; without it ask GET /v1/appeals/{appeal_id}")
    try:
        target_of(asked.webhook_url, operations.outbox.hosts)
    except TargetRefused as refused:
        raise Problem(HTTPStatus.BAD_REQUEST, "webhook_refused", str(refused), param="webhook_url") from None


def _check_rate(wait: int) -> None:
    if wait > 0:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            "too_many_appeals",
            "more appeals in an hour than a key may make (CONSOLE_APPEALS__PER_HOUR); ask again after retry-after",
            retry_after_s=math.ceil(wait / 1_000),
        )


def _own(operations: Operations, appeal_id: str, caller: str) -> dict[str, Any]:
    with operations.store.reading() as connection:
        found = appeal_of(connection, appeal_id)
        if found is None or found.caller != caller:
            raise Problem(
                HTTPStatus.NOT_FOUND, "unknown_appeal", "no such appeal of this key's; expected an id that it was given"
            )
        return _shown(found, told(connection, found), now_ms())


def _shown(appeal: Appeal, webhook: str | None, now: int) -> dict[str, Any]:
    # Until then the answer can be taken back.
    is_answered = appeal.answered_ms is not None and appeal.answered_ms <= now
    return {
        "appeal_id": appeal.id,
        "verdict_id": appeal.verdict_id,
        "chat_id": appeal.chat_id,
        "state": "answered" if is_answered else "open",
        "outcome": appeal.outcome if is_answered else None,
        "decision": appeal.decision if is_answered else None,
        "reason": appeal.reason if is_answered else None,
        "created_ms": appeal.created_ms,
        "answered_ms": appeal.answered_ms if is_answered else None,
        "webhook": webhook if is_answered else None,
    }


def _callers(operations: Operations) -> list[dict[str, Any]]:
    with operations.store.reading() as connection:
        return [one._asdict() for one in reliabilities(connection, now_ms())]
