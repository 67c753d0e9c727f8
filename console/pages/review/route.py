"""The page itself, for whoever may review; the routes that it asks stand beside this file."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.pages.frame import page
from console.pages.review import around, claims, judging, many
from console.pages.review.desk import Desk
from console.port.roles import Role, needs
from console.port.sessions import Sessions
from console.service import Service


def add(app: FastAPI, service: Service, sessions: Sessions | None) -> None:
    """Add the page; nothing where there is no queue."""
    operations = service.operations
    if operations is None or operations.queue is None:
        return
    desk = Desk(service, operations.queue, operations.texts)

    @app.get("/review", include_in_schema=False, dependencies=[needs(Role.REVIEWER)])
    async def review_page(request: Request) -> Response:
        return page("review.html", request, service, sessions)

    claims.add(app, desk)
    judging.add(app, desk)
    around.add(app, desk)
    many.add(app, desk)
