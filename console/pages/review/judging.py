"""Routes of the item that is read: its text, the answer, and the way back."""

from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.pages.review.asked import AskedAnswer, AskedText, AskedUndo
from console.pages.review.desk import Desk, in_thread, reviewer_of
from console.pages.review.reveal import reveal
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.review.item import Wish
from console.review.shown import shown_answered
from console.store.store import now_ms

_ANSWERED: Final = ("answer_id", "decision_id", "sends_at_ms")

_NEEDS: Final = [needs(Role.REVIEWER)]


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    queue = desk.queue

    @app.post("/review/text", include_in_schema=False, dependencies=_NEEDS)
    async def text(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedText)
        return JsonResponse(await reveal(desk.service, queue, desk.texts, person, asked.item_id))

    @app.post("/review/answer", include_in_schema=False, dependencies=_NEEDS)
    async def answer(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedAnswer)
        wish = Wish(asked.outcome, asked.category, asked.reason, asked.note)
        taken = await in_thread(
            lambda: queue.answer(
                asked.item_id, person.name, asked.token, wish, decision_id=asked.decision_id, queues=person.queues
            )
        )
        # Of a blind item it says nothing of what is sent: that would tell what the model says.
        shown = shown_answered(taken)
        document = {name: shown[name] for name in _ANSWERED}
        return JsonResponse({**document, "item_id": taken.item.id, "now_ms": now_ms()})

    @app.post("/review/undo", include_in_schema=False, dependencies=_NEEDS)
    async def undo(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedUndo)
        claimed = await in_thread(lambda: queue.undo(asked.answer_id, person.name, queues=person.queues))
        return JsonResponse({"claim": await desk.beside(claimed, person), "now_ms": now_ms()})
