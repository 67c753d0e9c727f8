"""The routes that read what was answered: figures and export."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from console.port.guard import counted
from console.port.problems import JsonResponse
from console.port.roles import Role, check_role, may, needs
from console.review.queue import Queue
from console.review.rows import Queues
from console.reviews.asking import ask, followed, one_of, parameters_of, whole_number
from console.reviews.documents import RESPONSES, FiguresAnswer
from console.reviews.export import MEDIA_TYPES, chunks
from console.service import Service
from console.store.access import log_access
from console.store.store import now_ms

_DAY_MS: Final = 86_400_000
_FIGURES_DAYS: Final = 30
_TIMES: Final = {
    "since_ms": "From then on, milliseconds since 1970.",
    "until_ms": "Up to then; now unless given.",
}
_EXPORT_PARAMETERS: Final = {
    "format": "csv or jsonl; jsonl unless given.",
    "of": "everybody, for admins alone, or own; own unless given.",
    **_TIMES,
}


def add(router: APIRouter, service: Service) -> None:
    """Add the routes."""

    @router.get(
        "/v1/reviews/figures",
        dependencies=[needs(Role.VIEWER)],
        response_model=FiguresAnswer,
        responses=RESPONSES,
        openapi_extra=described(_TIMES),
        summary="Agreement, accuracy, pace, and how often automatic decisions are right.",
    )
    async def figures(request: Request) -> Response:
        """Answer with the figures of a time, by default of the last 30 days."""
        queue, caller = followed(service).queue, counted(request.scope)
        given = parameters_of(request, frozenset(_TIMES))
        until_ms = whole_number(given, "until_ms", now_ms() + 1)
        since_ms = whole_number(given, "since_ms", max(0, until_ms - _FIGURES_DAYS * _DAY_MS))
        named: dict[str, Any] = {"own": None if may(caller.role, Role.ADMIN) else caller.name, "queues": caller.queues}
        return JsonResponse(await ask(shown_figures, queue, since_ms=since_ms, until_ms=until_ms, **named))

    @router.get(
        "/v1/reviews/export",
        dependencies=[needs(Role.REVIEWER)],
        responses=RESPONSES | {200: {"description": "CSV or JSON lines.", "content": _written()}},
        response_class=Response,
        openapi_extra=described(_EXPORT_PARAMETERS),
        summary="Decisions: one row an answer, undone ones marked.",
    )
    async def export(request: Request) -> Response:
        """Write down who exports what, then answer as it is read."""
        queue, caller = followed(service).queue, counted(request.scope)
        given = parameters_of(request, frozenset(_EXPORT_PARAMETERS))
        form = one_of(given, "format", tuple(MEDIA_TYPES), "jsonl") or "jsonl"
        of = one_of(given, "of", ("own", "everybody"), "own")
        if of == "everybody":
            check_role(caller.role, Role.ADMIN)
        since_ms, until_ms = whole_number(given, "since_ms", 0), whole_number(given, "until_ms", now_ms() + 1)
        return await exported(
            queue, caller.name, form, is_own=of == "own", since_ms=since_ms, until_ms=until_ms, queues=caller.queues
        )


async def exported(
    queue: Queue, caller: str, form: str, *, is_own: bool, since_ms: int, until_ms: int, queues: Queues
) -> StreamingResponse:
    """Write down who exports what, and return the answer, which is read as it is sent; pages answer with it, too.

    Args:
        queue: Whose decisions.
        caller: Who asks.
        form: csv or jsonl.
        is_own: The caller's decisions alone; else everybody's, which only an admin may have.
        since_ms: From then on, milliseconds since 1970.
        until_ms: Up to then.
        queues: Those that the caller may see; None: all.

    Raises:
        Problem: the database does not answer.
    """
    detail = {"format": form, "of": "own" if is_own else "everybody", "since_ms": since_ms, "until_ms": until_ms}
    await ask(_log_export, queue, caller, detail)
    return StreamingResponse(
        chunks(queue, form, reviewer=caller if is_own else None, since_ms=since_ms, until_ms=until_ms, queues=queues),
        media_type=MEDIA_TYPES[form],
        headers={"content-disposition": f'attachment; filename="decisions.{form}"'},
    )


def shown_figures(
    queue: Queue, *, since_ms: int, until_ms: int, own: str | None, queues: Queues = None
) -> dict[str, Any]:
    """Return the figures of a time, JSON-ready; pages show them, too.

    Args:
        queue: Whose.
        since_ms: From then on.
        until_ms: Up to then.
        own: The only reviewer whose own figures are told, and those of pairs with them; None: everybody's.
        queues: Of these alone; None: of all.
    """
    found = asdict(queue.figures(since_ms=since_ms, until_ms=until_ms, queues=queues))
    if own is not None:
        found["reviewers"] = [one for one in found["reviewers"] if one["reviewer"] == own]
        found["agreement_by_pair"] = [one for one in found["agreement_by_pair"] if own in one["reviewers"]]
    standings = [asdict(one) for one in queue.standings(queues)]
    return {"since_ms": since_ms, "until_ms": until_ms, "queues": standings, **found}


def described(parameters: Mapping[str, str]) -> dict[str, Any]:
    """Return what a route's description says of its query."""
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
            for name, text in parameters.items()
        ]
    }


def _written() -> dict[str, Any]:
    return {media.partition(";")[0]: {"schema": {"type": "string"}} for media in MEDIA_TYPES.values()}


def _log_export(queue: Queue, actor: str, detail: dict[str, Any]) -> None:
    with queue.writing() as connection:
        log_access(connection, actor, "export", detail)
