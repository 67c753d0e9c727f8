"""GET /v1/verdicts/{chat_id}."""

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field
from starlette.responses import Response

from console.errors import Problem
from console.openapi import FOLLOWING
from console.operations import Operations
from console.pipeline.history import explained, shown_to
from console.pipeline.newest import newest
from console.port.documents import Request, check_document
from console.port.guard import caller_of
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.port.threads import HISTORIES
from console.service import Service
from schemas import Verdict


class Asked(Request):
    """What of a chat is asked for."""

    chat_id: str = Field(min_length=1, max_length=256)
    limit: int = Field(default=20, ge=0, le=200)


class VerdictsAnswer(BaseModel):
    """What the pipeline says of a chat."""

    chat_id: str
    newest: Verdict | None = Field(description="In force now, of Redis where it has the chat, else of the topic.")
    history: dict[str, Any] | None = Field(
        description="The document of `worker explain --json`: its outcomes on the topics, newest first, with the rule "
        "behind each. Null with limit=0."
    )


def router_of(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["verdicts"])

    @router.get(
        "/v1/verdicts/{chat_id:path}",
        dependencies=[needs(Role.VIEWER)],
        response_model=VerdictsAnswer,
        responses=FOLLOWING,
        summary="The newest verdict of a chat, and its history.",
    )
    async def verdicts(
        chat_id: str,
        request: HttpRequest,
        limit: Annotated[str | None, Query(description="Outcomes of the history, 0 to 200; default 20.")] = None,
    ) -> Response:
        """Answer with what Redis and the topics say; the history is read from the topics, which may take seconds."""
        operations = service.following()
        values: dict[str, Any] = {"chat_id": chat_id} | ({} if limit is None else {"limit": limit})
        asked = check_document(values, Asked)
        return JsonResponse(await HISTORIES.call(_answer, operations, asked, caller_of(request.scope).role))

    return router


def _answer(operations: Operations, asked: Asked, role: Role) -> dict[str, Any]:
    found = newest(operations.worker, asked.chat_id)
    history = explained(operations.worker, asked.chat_id, asked.limit) if asked.limit else None
    if found is None and (history is None or history["n_outcomes"] == 0):
        raise Problem(
            HTTPStatus.NOT_FOUND,
            "unknown_chat",
            "this chat has no verdict, neither in Redis nor on the topics; check the id; retention may have taken it",
        )
    return {
        "chat_id": asked.chat_id,
        "newest": None if found is None else found.model_dump(mode="json"),
        "history": None if history is None else shown_to(role, history),
    }
