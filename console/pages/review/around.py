"""Routes of what stands around the items: the start, how the queue stands, preferences, own answers, figures."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.errors import Problem
from console.pages.review.asked import chat_of, days_of, limit_of, order_of
from console.pages.review.desk import Desk, in_thread, reviewer_of
from console.pages.review.shown_figures import shown_figures
from console.pages.review.start import start_of
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.review.beside import waiting_of
from console.review.own_work import DAY_MS, recent_answers
from console.review.preferences import prefer
from console.review.shown import shown_page
from console.reviews.export import MEDIA_TYPES
from console.reviews.reading import exported
from console.store.store import now_ms

_RECENT: Final = 50

_NEEDS: Final = [needs(Role.REVIEWER)]


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    queue = desk.queue

    @app.get("/review/start", include_in_schema=False, dependencies=_NEEDS)
    async def start(request: Request) -> Response:
        person = reviewer_of(request)
        return JsonResponse(await in_thread(lambda: start_of(desk.service, queue, person, now=now_ms())))

    @app.get("/review/queue", include_in_schema=False, dependencies=_NEEDS)
    async def queue_page(request: Request) -> Response:
        person = reviewer_of(request)
        query = request.query_params
        limit = limit_of(query.get("limit", "50"))
        order = order_of(query.get("order", "risk"))
        found = await in_thread(
            lambda: queue.page(
                person.name,
                queue=query.get("queue"),
                order=order,
                kind=query.get("kind"),
                after=query.get("after"),
                limit=limit,
                is_admin=person.is_admin,
                queues=person.queues,
            )
        )
        return JsonResponse({**shown_page(found), "now_ms": now_ms()})

    @app.post("/review/preferences", include_in_schema=False, dependencies=_NEEDS)
    async def preferences(request: Request) -> Response:
        person = reviewer_of(request)
        changes = await desk.document(request)

        def change() -> dict[str, Any]:
            with queue.writing() as connection:
                return prefer(connection, person.name, changes).model_dump()

        return JsonResponse(await in_thread(change))

    @app.get("/review/recent", include_in_schema=False, dependencies=_NEEDS)
    async def recent(request: Request) -> Response:
        person = reviewer_of(request)

        def look() -> list[dict[str, Any]]:
            with queue.reading() as connection:
                return recent_answers(connection, person.name, _RECENT)

        found = await in_thread(look)
        taxonomy = desk.service.bundle.taxonomy
        for one in found:
            code, name = one["category"], one.pop("taxonomy")["name"]
            one["category_name"] = taxonomy.names.get(code, code) if name == taxonomy.name else code
        return JsonResponse({"answers": found, "now_ms": now_ms()})

    @app.get("/review/figures", include_in_schema=False, dependencies=_NEEDS)
    async def figures(request: Request) -> Response:
        person = reviewer_of(request)
        days = days_of(request.query_params.get("days", "30"))
        until_ms = now_ms() + 1
        since_ms = until_ms - days * DAY_MS
        found = await in_thread(lambda: queue.figures(since_ms=since_ms, until_ms=until_ms, queues=person.queues))
        shown = shown_figures(found, person.name, is_admin=person.is_admin)
        return JsonResponse({"days": days, "is_admin": person.is_admin, **shown})

    _add_waiting(app, desk)
    _add_export(app, desk)


def _add_waiting(app: FastAPI, desk: Desk) -> None:
    """Add the route by which the page Chat finds what waits of its chat."""

    @app.get("/review/waiting", include_in_schema=False, dependencies=_NEEDS)
    async def waiting(request: Request) -> Response:
        chat_id, queues = chat_of(request.query_params.get("chat_id", "")), reviewer_of(request).queues

        def look() -> list[dict[str, Any]]:
            with desk.queue.reading() as connection:
                return waiting_of(connection, chat_id, queues)

        return JsonResponse({"items": await in_thread(look), "now_ms": now_ms()})


def _add_export(app: FastAPI, desk: Desk) -> None:
    """Add the files of decisions: one's own, and everybody's for an admin."""

    @app.get("/review/export", include_in_schema=False, dependencies=_NEEDS)
    async def export(request: Request) -> Response:
        return await _exported(request, desk, is_own=True)

    @app.get("/review/export/everybody", include_in_schema=False, dependencies=[needs(Role.ADMIN)])
    async def export_all(request: Request) -> Response:
        return await _exported(request, desk, is_own=False)


async def _exported(request: Request, desk: Desk, *, is_own: bool) -> Response:
    person = reviewer_of(request)
    return await exported(
        desk.queue,
        person.name,
        _form_of(request),
        is_own=is_own,
        since_ms=0,
        until_ms=now_ms() + 1,
        queues=person.queues,
    )


def _form_of(request: Request) -> str:
    form = request.query_params.get("format", "csv")
    if form not in MEDIA_TYPES:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "bad_request", "format is neither csv nor jsonl; send one", param="format"
        )
    return form
