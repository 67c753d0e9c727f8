"""Routes of claims: an item becomes one person's, stays so while they read, and is given back."""

from contextlib import suppress
from functools import partial
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.pages.review.asked import AskedClaim, AskedClaims
from console.pages.review.desk import Desk, Person, in_thread, reviewer_of
from console.pages.review.problems import lost
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.review.errors import Conflict, NotInQueue
from console.review.item import Claim
from console.review.queue import Queue
from console.store.store import StoreAway, now_ms

_NEEDS: Final = [needs(Role.REVIEWER)]


def add(app: FastAPI, desk: Desk) -> None:
    """Add the routes."""
    queue = desk.queue

    @app.post("/review/claim", include_in_schema=False, dependencies=_NEEDS)
    async def claim(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedClaim)
        # An item that was asked for by its number may have been theirs before: that claim stays.
        too_late = None if asked.item_id is not None else partial(_give_back, queue, person)
        claimed = await in_thread(partial(_claim, queue, asked, person), too_late=too_late)
        return JsonResponse({"claim": await desk.beside(claimed, person), "now_ms": now_ms()})

    @app.post("/review/renew", include_in_schema=False, dependencies=_NEEDS)
    async def renew(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedClaims)
        renewed, gone = [], []
        for item_id, token in asked.held:
            try:
                prolong = partial(queue.renew, item_id, person.name, token, queues=person.queues)
                until_ms = await in_thread(prolong, lets_conflicts_pass=True)
            except (Conflict, NotInQueue) as why:
                gone.append(lost(item_id, token, why))
            else:
                renewed.append({"item_id": item_id, "until_ms": until_ms})
        return JsonResponse({"renewed": renewed, "lost": gone, "now_ms": now_ms()})

    @app.post("/review/release", include_in_schema=False, dependencies=_NEEDS)
    async def release(request: Request) -> Response:
        person = reviewer_of(request)
        asked = await desk.read(request, AskedClaims)
        for item_id, token in asked.held:
            try:
                give_back = partial(queue.release, item_id, person.name, token, queues=person.queues)
                await in_thread(give_back, lets_conflicts_pass=True)
            except (Conflict, NotInQueue):
                # It is no longer theirs, which is what was wanted.
                continue
        return JsonResponse({"now_ms": now_ms()})


def _claim(queue: Queue, asked: AskedClaim, person: Person) -> Claim | None:
    if asked.item_id is not None:
        return queue.claim(asked.item_id, person.name, is_admin=person.is_admin, queues=person.queues)
    return queue.claim_next(
        person.name,
        queue=asked.queue,
        order=asked.order,
        kind=asked.kind,
        is_admin=person.is_admin,
        queues=person.queues,
    )


def _give_back(queue: Queue, person: Person, claimed: Claim | None) -> None:
    """Let others have an item that was claimed for somebody who was told to ask again, and may get another one."""
    if claimed is None:
        return
    # Else the lease ends by itself.
    with suppress(StoreAway, Conflict, NotInQueue):
        queue.release(claimed.item.id, person.name, claimed.token, queues=person.queues)
