"""The routes of /v1/reviews: claim, renew, release, answer, undo, text."""

from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request
from pydantic import BaseModel
from starlette.responses import Response

from console.errors import Problem
from console.openapi import body_of
from console.pipeline.text import text_of
from console.port.documents import read_document
from console.port.guard import counted
from console.port.problems import JsonResponse
from console.port.roles import Role, may, needs
from console.review.item import Item, Wish
from console.review.shown import shown_answered, shown_claim, shown_page
from console.reviews import reading
from console.reviews.asking import (
    Followed,
    ask,
    followed,
    number_of,
    one_of,
    parameters_of,
    whole_number,
)
from console.reviews.documents import (
    RESPONSES,
    AnswerAnswer,
    AnswerRequest,
    ClaimAnswer,
    NextAnswer,
    NextRequest,
    Nothing,
    ReleaseAnswer,
    RenewAnswer,
    ReviewPage,
    TextAnswer,
    TokenRequest,
)
from console.service import Service

_REVIEWER: Final = [needs(Role.REVIEWER)]
_PAGE_PARAMETERS: Final = {
    "queue": "Of one queue: the first policy that asks.",
    "kind": "review, sample or appeal.",
    "order": "risk: the riskiest first, weighted by age; age: what arrived first.",
    "after": "`after` of the page before.",
    "limit": "1 to 200; 50 unless given.",
}


def router_of(service: Service) -> APIRouter:
    """Return the routes."""
    router = APIRouter(tags=["reviews"])

    @router.get(
        "/v1/reviews",
        dependencies=_REVIEWER,
        response_model=ReviewPage,
        responses=RESPONSES,
        openapi_extra=reading.described(_PAGE_PARAMETERS),
        summary="The open items that the caller may answer.",
    )
    async def page(request: Request) -> Response:
        """Answer with a page of the queue and how long it waits; no chat text."""
        queue, caller = followed(service).queue, counted(request.scope)
        given = parameters_of(request, frozenset(_PAGE_PARAMETERS))
        named: dict[str, Any] = {
            "queue": given.get("queue"),
            "kind": one_of(given, "kind", ("review", "sample", "appeal"), None),
            "order": one_of(given, "order", ("risk", "age"), "risk"),
            "after": given.get("after"),
            "limit": whole_number(given, "limit", 50),
            "is_admin": may(caller.role, Role.ADMIN),
            "queues": caller.queues,
        }
        return JsonResponse(shown_page(await ask(queue.page, caller.name, **named)))

    @router.post("/v1/reviews/next", response_model=NextAnswer, **_posted(NextRequest, "Claim the next item."))
    async def claim_next(request: Request) -> Response:
        """Claim the first item of the order that has a place for the caller."""
        queue, caller = followed(service).queue, counted(request.scope)
        async with service.bodies.of(request) as raw:
            wanted = read_document(raw, NextRequest)
        named: dict[str, Any] = {
            "order": wanted.order,
            "is_admin": may(caller.role, Role.ADMIN),
            "queues": caller.queues,
        }
        claim = await ask(queue.claim_next, caller.name, queue=_printable(wanted.queue), **named)
        return JsonResponse({"claim": None if claim is None else shown_claim(claim)})

    @router.post("/v1/reviews/{item_id}/claim", response_model=ClaimAnswer, **_posted(Nothing, "Claim an item."))
    async def claim(item_id: str, request: Request) -> Response:
        """Make an item the caller's for a time; a claim of theirs that stands is prolonged."""
        queue, caller = followed(service).queue, counted(request.scope)
        async with service.bodies.of(request) as raw:
            read_document(raw, Nothing)
        named: dict[str, Any] = {"is_admin": may(caller.role, Role.ADMIN), "queues": caller.queues}
        return JsonResponse(shown_claim(await ask(queue.claim, number_of(item_id), caller.name, **named)))

    @router.post("/v1/reviews/{item_id}/renew", response_model=RenewAnswer, **_posted(TokenRequest, "Prolong a claim."))
    async def renew(item_id: str, request: Request) -> Response:
        """Prolong a claim by another lease."""
        queue, caller = followed(service).queue, counted(request.scope)
        async with service.bodies.of(request) as raw:
            token = read_document(raw, TokenRequest).token
        return JsonResponse(
            {"until_ms": await ask(queue.renew, number_of(item_id), caller.name, token, queues=caller.queues)}
        )

    @router.post(
        "/v1/reviews/{item_id}/release", response_model=ReleaseAnswer, **_posted(TokenRequest, "Give an item back.")
    )
    async def release(item_id: str, request: Request) -> Response:
        """Give an item back to the queue, where it stands as before."""
        queue, caller = followed(service).queue, counted(request.scope)
        async with service.bodies.of(request) as raw:
            token = read_document(raw, TokenRequest).token
        await ask(queue.release, number_of(item_id), caller.name, token, queues=caller.queues)
        return JsonResponse({"released": True})

    @router.post(
        "/v1/reviews/{item_id}/answer", response_model=AnswerAnswer, **_posted(AnswerRequest, "Answer an item.")
    )
    async def answer(item_id: str, request: Request) -> Response:
        """Take an answer on an item that the caller holds."""
        queue, caller = followed(service).queue, counted(request.scope)
        async with service.bodies.of(request) as raw:
            wanted = read_document(raw, AnswerRequest)
        wish = Wish(**wanted.model_dump(exclude={"token"}))
        taken = await ask(queue.answer, number_of(item_id), caller.name, wanted.token, wish, queues=caller.queues)
        return JsonResponse(shown_answered(taken))

    @router.post(
        "/v1/reviews/answers/{answer_id}/undo", response_model=ClaimAnswer, **_posted(Nothing, "Undo an answer.")
    )
    async def undo(answer_id: str, request: Request) -> Response:
        """Undo an answer of the caller's, sent or not; the item is open again and theirs."""
        queue, caller = followed(service).queue, counted(request.scope)
        async with service.bodies.of(request) as raw:
            read_document(raw, Nothing)
        return JsonResponse(shown_claim(await ask(queue.undo, number_of(answer_id), caller.name, queues=caller.queues)))

    @router.get(
        "/v1/reviews/{item_id}/text",
        dependencies=_REVIEWER,
        response_model=TextAnswer,
        responses=RESPONSES,
        summary="What the chat of an item said.",
    )
    async def text(item_id: str, request: Request) -> Response:
        """Log the reveal, then fetch the text from its record; it is stored nowhere."""
        of, caller = followed(service), counted(request.scope)
        item = await ask(of.queue.item, number_of(item_id), caller.name, queues=caller.queues)
        await ask(of.queue.log_reveal, caller.name, item)
        return JsonResponse(await _text_of(of, item))

    reading.add(router, service)
    return router


def _posted(document: type[BaseModel], summary: str) -> dict[str, Any]:
    """Return what the routes have in common that change something."""
    return {
        "dependencies": _REVIEWER,
        "responses": RESPONSES,
        "openapi_extra": body_of(document),
        "summary": summary,
    }


async def _text_of(of: Followed, item: Item) -> dict[str, Any]:
    gold = of.queue.gold_turns(item)
    if gold is not None:
        turns, deciding = gold
        return _shown(turns, deciding, is_changed=False)
    if item.text_at is None:
        return _shown(None, None, is_changed=False)
    if of.operations.texts is None:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "pipeline_away",
            "this console reads no texts; ask another one",
            retry_after_s=5,
        )
    found = await text_of(of.operations.texts, *item.text_at)
    if found is None:
        return _shown(None, None, is_changed=False)
    await ask(of.queue.remember_text, item, found.turns, found.fingerprint)
    is_changed = item.fingerprint is not None and found.fingerprint != item.fingerprint
    return _shown(found.turns, found.is_deciding, is_changed=is_changed)


def _shown(turns: Any, deciding: int | None, *, is_changed: bool) -> dict[str, Any]:
    said = None if turns is None else [{"role": turn.role.value, "text": _utf8(turn.text)} for turn in turns]
    return {"turns": said, "deciding": deciding, "is_changed": is_changed}


def _utf8(text: str) -> str:
    # An event may hold half of a surrogate pair, which no UTF-8 can.
    return text.encode("utf-8", "replace").decode()


def _printable(text: str | None) -> str | None:
    if text is not None and not text.isprintable():
        raise Problem(
            HTTPStatus.BAD_REQUEST, "invalid_input", "queue: holds a control character; expected a name", param="queue"
        )
    return text
