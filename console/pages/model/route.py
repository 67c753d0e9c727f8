"""The routes of /model."""

import asyncio
import time
from http import HTTPStatus
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from console.errors import Problem
from console.operations import Operations
from console.pages.frame import page
from console.pages.model.drift import DriftFigures, limits
from console.pages.model.figures import figures_of
from console.pages.model.registry import RegistryView
from console.pages.model.watch import DriftWatch
from console.pipeline.errors import PipelineAway, cause_for
from console.pipeline.shadow import shadow_document, shadow_report
from console.port.body import parse_object
from console.port.guard import caller_of
from console.port.problems import JsonResponse
from console.port.roles import Role, may, needs
from console.port.sessions import Sessions
from console.port.threads import DATABASE, HISTORIES, PIPELINE
from console.service import Service
from console.store.store import now_ms
from model.policies.rules import rule_over

HOURS: Final = (24, 168)
_SHADOW_KEEPS_S: Final = 120.0


def add(app: FastAPI, service: Service, sessions: Sessions | None) -> None:
    """Add the page, and what tells Prometheus of drift."""
    operations = service.operations
    if operations is None:
        return
    rule = rule_over(service.bundle, service.writer.policies[0])
    drifting = DriftFigures(operations.store, service.bundle, rule)
    watch = DriftWatch(drifting, service.metrics)
    operations.at_start.append(watch.start)
    operations.at_end.append(watch.close)
    registry, shadow = RegistryView(service), _Shadow(operations)
    # They are those of the bundle, which does not change while the console runs.
    figures = orjson.dumps(figures_of(service.bundle, rule))

    @app.get("/model", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def model_page(request: Request) -> Response:
        is_admin = may(caller_of(request.scope).role, Role.ADMIN)
        return page("model.html", request, service, sessions, is_admin=is_admin)

    @app.get("/model/figures", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def model_figures() -> Response:
        return Response(figures, media_type="application/json")

    @app.get("/model/drift", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def drift(hours: str = "24") -> Response:
        if hours not in {str(one) for one in HOURS}:
            raise Problem(HTTPStatus.BAD_REQUEST, "bad_hours", "hours: expected 24 or 168", param="hours")
        found = await DATABASE.call(lambda: drifting.watched(now_ms(), int(hours)))
        return JsonResponse({"limits": limits(), "hours": int(hours), "watched": [one.document() for one in found]})

    @app.get("/model/registry", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def history() -> Response:
        return JsonResponse(await PIPELINE.call(registry.document))

    @app.post("/model/serve", include_in_schema=False, dependencies=[needs(Role.ADMIN)])
    async def serve(request: Request) -> Response:
        caller = caller_of(request.scope)
        async with service.bodies.of(request) as raw:
            document = parse_object(raw)
        entry = await PIPELINE.call(registry.serve, caller.name, document)
        return JsonResponse({"action": entry.action, "digest": entry.digest})

    @app.get("/model/shadow", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def agreement(request: Request) -> Response:
        document = await shadow.document()
        if "error" in document:
            error = cause_for(caller_of(request.scope).role, document["error"], "The topics could not be read")
            document = document | {"error": error}
        return JsonResponse(document)


class _Shadow:
    """The shadow's agreement, read at most every two minutes and by one request at a time.

    Args:
        operations: Where Kafka is.
    """

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._one_at_a_time = asyncio.Lock()
        self._known: dict[str, Any] | None = None
        self._read_s = 0.0

    async def document(self) -> dict[str, Any]:
        """Return it as JSON, or why there is none."""
        async with self._one_at_a_time:
            if self._known is None or time.monotonic() - self._read_s > _SHADOW_KEEPS_S:
                self._known = await HISTORIES.call(self._read)
                self._read_s = time.monotonic()
            return self._known

    def _read(self) -> dict[str, Any]:
        try:
            report = shadow_report(self._operations.worker, now_ms())
        except PipelineAway as error:
            return {"state": "away", "error": str(error)}
        return {"state": "none"} if report is None else {"state": "compared", **shadow_document(report)}
