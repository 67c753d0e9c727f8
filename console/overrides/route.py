"""POST, GET and DELETE /v1/overrides."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi import Request as HttpRequest
from pydantic import Field
from starlette.responses import Response

from console.openapi import FOLLOWING, body_of
from console.overrides.deciding import Sender, answer_of, clear, decide, sender_of
from console.overrides.documents import ClearRequest, DecisionAnswer, OverrideRequest, OverridesAnswer
from console.pipeline.overrides import in_force
from console.port.documents import Request, check_document, read_document
from console.port.guard import caller_of
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.port.threads import PIPELINE
from console.service import Service
from console.store.outbox_shown import waiting_of_chat

_LONGEST_WAIT_S = 5.0

Wait = Annotated[str | None, Query(description="Seconds to wait until it is sent, 0 to 5; default 0.")]


class _Waiting(Request):
    wait_s: float = Field(default=0.0, ge=0, le=_LONGEST_WAIT_S)


class _Chat(Request):
    chat_id: str = Field(min_length=1, max_length=256)


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    reviewer = [needs(Role.REVIEWER)]

    @router.post(
        "/v1/overrides",
        dependencies=reviewer,
        status_code=HTTPStatus.ACCEPTED,
        response_model=DecisionAnswer,
        responses=FOLLOWING,
        openapi_extra=body_of(OverrideRequest),
        summary="Decide on a chat in the place of the model.",
    )
    async def set_override(request: HttpRequest, wait_s: Wait = None) -> Response:
        """Take a decision: it is sent at once, and as soon as Kafka answers where it is away."""
        sender = sender_of(service)
        waiting = _waiting(wait_s)
        async with service.bodies.of(request) as raw:
            asked = read_document(raw, OverrideRequest)
        put = await PIPELINE.call(decide, sender, asked, caller_of(request.scope).name)
        return _accepted(await answer_of(sender, put, waiting))

    @router.delete(
        "/v1/overrides",
        dependencies=reviewer,
        status_code=HTTPStatus.ACCEPTED,
        response_model=DecisionAnswer,
        responses=FOLLOWING,
        summary="Take back what was decided on a chat.",
    )
    async def clear_overrides(
        request: HttpRequest,
        chat_id: Annotated[str | None, Query(description="The chat.")] = None,
        reason: Annotated[str | None, Query(description="Why: a code.")] = None,
        policy: Annotated[str | None, Query(description="Only what was decided for it.")] = None,
        wait_s: Wait = None,
    ) -> Response:
        """Take overrides back: the verdict on the chat's next event is without them."""
        sender = sender_of(service)
        waiting = _waiting(wait_s)
        given = {"chat_id": chat_id, "reason": reason, "policy": policy}
        asked = check_document({name: value for name, value in given.items() if value is not None}, ClearRequest)
        put = await PIPELINE.call(clear, sender, asked, caller_of(request.scope).name)
        return _accepted(await answer_of(sender, put, waiting))

    @router.get(
        "/v1/overrides",
        dependencies=reviewer,
        response_model=OverridesAnswer,
        responses=FOLLOWING,
        summary="What people decided on a chat.",
    )
    async def overrides(chat_id: Annotated[str | None, Query(description="The chat.")] = None) -> Response:
        """Answer with what is in force on the topic, and how much is still on its way there."""
        sender = sender_of(service)
        asked = check_document({} if chat_id is None else {"chat_id": chat_id}, _Chat)
        return JsonResponse(await PIPELINE.call(_standing, sender, asked.chat_id))

    return router


def _waiting(wait_s: str | None) -> float:
    return check_document({} if wait_s is None else {"wait_s": wait_s}, _Waiting).wait_s


def _accepted(answer: DecisionAnswer) -> Response:
    return JsonResponse(answer.model_dump(), HTTPStatus.ACCEPTED)


def _standing(sender: Sender, chat_id: str) -> dict[str, Any]:
    found = in_force(sender.outbox.standing(chat_id), datetime.now(UTC))
    with sender.operations.store.reading() as connection:
        n_waiting = waiting_of_chat(connection, chat_id)
    shown = [one.model_dump(mode="json", exclude={"signature"}) for one in found]
    return {"chat_id": chat_id, "overrides": shown, "n_waiting": n_waiting}
