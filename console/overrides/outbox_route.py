"""GET /v1/outbox, and POST /v1/outbox/{row}/again and …/dismiss: what is still to be sent, and what was refused."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Final

import structlog
from fastapi import APIRouter
from fastapi import Request as HttpRequest
from sqlalchemy import Connection
from starlette.responses import Response

from console.errors import Problem
from console.openapi import FOLLOWING
from console.operations import Operations
from console.overrides.deciding import Sender, sender_of
from console.overrides.documents import OutboxAnswer
from console.port.guard import caller_of
from console.port.problems import JsonResponse
from console.port.roles import Role, may, needs
from console.port.threads import DATABASE
from console.service import Service
from console.store.access import log_access
from console.store.outbox_rows import about, again, dismiss
from console.store.outbox_shown import backlog, refusals
from console.store.store import now_ms

_DIGITS: Final = 18

log = structlog.get_logger()


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter()

    @router.get(
        "/v1/outbox",
        dependencies=[needs(Role.VIEWER)],
        response_model=OutboxAnswer,
        responses=FOLLOWING,
        summary="What people decided and is not sent yet.",
    )
    async def outbox(request: HttpRequest) -> Response:
        """Answer with how much waits, since when; to admins also with what was refused, and why."""
        is_admin = may(caller_of(request.scope).role, Role.ADMIN)
        return JsonResponse(await DATABASE.call(_shown, sender_of(service), is_admin=is_admin))

    @router.post(
        "/v1/outbox/{row}/again",
        dependencies=[needs(Role.ADMIN)],
        status_code=HTTPStatus.ACCEPTED,
        responses=FOLLOWING,
        summary="Try a refused row again.",
    )
    async def try_again(row: str, request: HttpRequest) -> Response:
        """Have a row sent again that was refused for good, once what was wrong is mended; who asks is logged."""
        return await _changed(service, request, row, "again", again)

    @router.post(
        "/v1/outbox/{row}/dismiss",
        dependencies=[needs(Role.ADMIN)],
        status_code=HTTPStatus.ACCEPTED,
        responses=FOLLOWING,
        summary="Leave a refused row as it is.",
    )
    async def leave(row: str, request: HttpRequest) -> Response:
        """Say that a refused row need not be sent: it is counted no longer, and its alert ends; who asks is logged."""
        return await _changed(service, request, row, "dismiss", dismiss)

    return router


def _shown(sender: Sender, *, is_admin: bool) -> dict[str, Any]:
    with sender.operations.store.reading() as connection:
        found = backlog(connection, now_ms())
        refused = refusals(connection) if is_admin else []
    trouble = sender.outbox.state.trouble
    return {
        **found._asdict(),
        "away_since_ms": None if trouble is None else trouble.since_ms,
        "error": trouble.error if is_admin and trouble is not None else None,
        "refused": [one._asdict() for one in refused],
    }


async def _changed(
    service: Service, request: HttpRequest, row: str, action: str, change: Callable[[Connection, int, int], bool]
) -> Response:
    operations, actor = sender_of(service).operations, caller_of(request.scope).name
    is_number = row.isascii() and row.isdecimal() and len(row) <= _DIGITS
    if not is_number or not await DATABASE.call(_change, operations, int(row), actor, action, change):
        raise Problem(
            HTTPStatus.NOT_FOUND, "unknown_row", "no such row is refused; GET /v1/outbox shows those that are"
        )
    return JsonResponse({"row": int(row)}, HTTPStatus.ACCEPTED)


def _change(
    operations: Operations, row: int, actor: str, action: str, change: Callable[[Connection, int, int], bool]
) -> bool:
    """Change a row and note who did, in one transaction; False where it is not refused."""
    with operations.store.writing() as connection:
        if not change(connection, row, now_ms()):
            return False
        chat_hash = (told := dict(about(connection, row))).pop("chat_hash")
        log_access(connection, actor, action, told, chat_hash=chat_hash)
    log.info("outbox_row_changed", action=action, actor=actor, row=row)
    return True
