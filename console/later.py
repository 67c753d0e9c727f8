"""Routes that other parts of the project will fill: each answers 501 and says what is missing."""

from http import HTTPStatus

from fastapi import APIRouter
from starlette.responses import Response

from console.errors import Problem
from console.openapi import NOT_YET
from console.port.roles import Role, needs


def router_of() -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["later"], dependencies=[needs(Role.CLIENT)])

    @router.get("/v1/verdicts/{chat_id}", responses=NOT_YET, summary="Not there yet: 501.")
    async def verdict(chat_id: str) -> Response:  # noqa: ARG001
        """Refuse: this process reads no topic."""
        raise _not_yet(
            "verdicts of the stream are not looked up here yet; read the topic or the cache, as examples/ do"
        )

    @router.post("/v1/feedback", responses=NOT_YET, summary="Not there yet: 501.")
    async def feedback() -> Response:
        """Refuse: feedback has no topic."""
        raise _not_yet("feedback is not taken yet: there is no topic that would keep it")

    @router.post("/v1/overrides", responses=NOT_YET, summary="Not there yet: 501.")
    async def override() -> Response:
        """Refuse: overrides have no topic."""
        raise _not_yet("overrides are not taken yet: there is no topic that would keep them")

    return router


def _not_yet(message: str) -> Problem:
    return Problem(HTTPStatus.NOT_IMPLEMENTED, "not_implemented", message)
