"""POST /v1/feedback."""

from collections.abc import Iterator

from fastapi import APIRouter
from fastapi import Request as HttpRequest
from pydantic import BaseModel, Field
from starlette.responses import Response

from console.openapi import FOLLOWING, body_of
from console.operations import Operations
from console.pipeline.newest import newest_at_hand
from console.port.documents import read_document
from console.port.guard import counted
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.port.threads import PIPELINE
from console.review.known import known_verdict
from console.review.reporting import FeedbackRequest, Reporter
from console.service import Service
from schemas.feedback import KnownVerdict


class FeedbackAnswer(BaseModel):
    """The same for every report."""

    received: bool = Field(
        default=True, description="Whether it counts is not told: only reports on known verdicts do."
    )


def router_of(service: Service) -> APIRouter:
    """Return the route."""
    router = APIRouter(tags=["feedback"])

    @router.post(
        "/v1/feedback",
        dependencies=[needs(Role.CLIENT)],
        response_model=FeedbackAnswer,
        responses=FOLLOWING,
        openapi_extra=body_of(FeedbackRequest),
        summary="Report a verdict as wrong.",
    )
    async def feedback(request: HttpRequest) -> Response:
        """Take a report; what matches no known verdict is counted and dropped, with the same answer."""
        operations, caller = service.taking_reports(), counted(request.scope)
        async with service.bodies.of(request) as raw:
            asked = read_document(raw, FeedbackRequest)
        await PIPELINE.call(
            _take, operations, Reporter(operations.store, operations.hash_of, service.metrics), asked, caller.name
        )
        return JsonResponse(FeedbackAnswer().model_dump())

    return router


def _take(operations: Operations, reporter: Reporter, asked: FeedbackRequest, caller: str) -> None:
    reporter.take(asked, list(_known(operations, asked)), caller)


def _known(operations: Operations, asked: FeedbackRequest) -> Iterator[KnownVerdict]:
    """Yield the verdicts that may be meant: of the database by id, and the newest of the chat."""
    if asked.verdict_id is not None:
        with operations.store.reading() as connection:
            found = known_verdict(connection, asked.verdict_id)
        if found is not None:
            yield found
    if asked.chat_id is not None:
        newest = newest_at_hand(operations.worker, asked.chat_id)
        if newest is not None:
            yield newest
