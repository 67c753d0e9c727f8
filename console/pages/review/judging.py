"""Routes of one item after another: claim, read, answer, take back."""

from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.pages.review.asked import AskedAnswer, AskedClaim, AskedClaims, AskedText, AskedUndo
from console.pages.review.desk import Desk, in_thread, reviewer_of
from console.pages.review.problems import lost
from console.pages.review.reveal import reveal
from console.port.problems import JsonResponse
from console.review.errors import Conflict, NotInQueue
from console.review.item import Wish
from console.store.store import now_ms

_ANSWERED: Final = ("answer_id", "decision_id", "sends_at_ms")


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    queue = desk.queue

    @app.post("/review/claim", include_in_schema=False)
    async def claim(request: Request) -> Response:
        person, is_admin = reviewer_of(request)
        asked = await desk.read(request, AskedClaim)
        if asked.item_id is not None:
            item_id = asked.item_id
            claimed = await in_thread(lambda: queue.claim(item_id, person, is_admin=is_admin))
        else:
            claimed = await in_thread(
                lambda: queue.claim_next(
                    person, queue=asked.queue, order=asked.order, kind=asked.kind, is_admin=is_admin
                )
            )
        return JsonResponse({"claim": await desk.beside(claimed), "now_ms": now_ms()})

    @app.post("/review/renew", include_in_schema=False)
    async def renew(request: Request) -> Response:
        person, _ = reviewer_of(request)
        asked = await desk.read(request, AskedClaims)
        renewed, gone = [], []
        for item_id, token in asked.held:
            try:
                until_ms = await in_thread(lambda: queue.renew(item_id, person, token), lets_conflicts_pass=True)  # noqa: B023  awaited here
            except (Conflict, NotInQueue) as why:
                gone.append(lost(item_id, token, why))
            else:
                renewed.append({"item_id": item_id, "until_ms": until_ms})
        return JsonResponse({"renewed": renewed, "lost": gone, "now_ms": now_ms()})

    @app.post("/review/release", include_in_schema=False)
    async def release(request: Request) -> Response:
        person, _ = reviewer_of(request)
        asked = await desk.read(request, AskedClaims)
        for item_id, token in asked.held:
            try:
                await in_thread(lambda: queue.release(item_id, person, token), lets_conflicts_pass=True)  # noqa: B023  awaited here
            except (Conflict, NotInQueue):
                # It is no longer theirs, which is what was wanted.
                continue
        return JsonResponse({"now_ms": now_ms()})

    @app.post("/review/text", include_in_schema=False)
    async def text(request: Request) -> Response:
        person, _ = reviewer_of(request)
        asked = await desk.read(request, AskedText)
        return JsonResponse(await reveal(desk.service, queue, desk.texts, person, asked.item_id))

    @app.post("/review/answer", include_in_schema=False)
    async def answer(request: Request) -> Response:
        person, _ = reviewer_of(request)
        asked = await desk.read(request, AskedAnswer)
        wish = Wish(asked.outcome, asked.category, asked.reason, asked.note)
        taken = await in_thread(
            lambda: queue.answer(asked.item_id, person, asked.token, wish, decision_id=asked.decision_id)
        )
        document = {name: getattr(taken, name) for name in _ANSWERED}
        return JsonResponse({**document, "item_id": taken.item.id, "now_ms": now_ms()})

    @app.post("/review/undo", include_in_schema=False)
    async def undo(request: Request) -> Response:
        person, _ = reviewer_of(request)
        asked = await desk.read(request, AskedUndo)
        claimed = await in_thread(lambda: queue.undo(asked.answer_id, person))
        return JsonResponse({"claim": await desk.beside(claimed), "now_ms": now_ms()})
