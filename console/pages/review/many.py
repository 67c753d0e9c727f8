"""Routes of one answer for many items."""

from dataclasses import asdict
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.pages.review.asked import AskedBatch, AskedBulk, AskedPreview
from console.pages.review.comparing import compare_waiting
from console.pages.review.desk import Desk, in_thread, reviewer_of
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.review.bulk import MAX_CAP
from console.review.item import Wish
from console.review.shown import shown_preview
from console.store.store import now_ms

_SAMPLE: Final = 10

_NEEDS: Final = [needs(Role.REVIEWER)]


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    queue = desk.queue

    @app.post("/review/bulk/preview", include_in_schema=False, dependencies=_NEEDS)
    async def preview(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedPreview)
        wanted = asked.filter.bulk
        n_uncompared = 0 if wanted.near is None else await compare_waiting(desk, person, wanted)
        found = await in_thread(lambda: queue.preview(wanted, person.name, n_sample=_SAMPLE, queues=person.queues))
        return JsonResponse({**shown_preview(found), "most": MAX_CAP, "n_uncompared": n_uncompared})

    @app.post("/review/bulk", include_in_schema=False, dependencies=_NEEDS)
    async def bulk(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedBulk)
        wish = Wish(asked.outcome, reason=asked.reason, note=asked.note)
        done = await in_thread(
            lambda: queue.bulk(
                asked.filter.bulk,
                person.name,
                wish,
                asked.cap,
                asked.expected_count,
                asked.batch,
                queues=person.queues,
            )
        )
        return JsonResponse({"n_answered": len(done.answer_ids), "sends_at_ms": done.sends_at_ms, "now_ms": now_ms()})

    @app.post("/review/bulk/undo", include_in_schema=False, dependencies=_NEEDS)
    async def undo(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedBatch)
        undone = await in_thread(lambda: queue.undo_batch(asked.batch, person.name, queues=person.queues))
        return JsonResponse(asdict(undone))
