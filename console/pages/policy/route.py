"""The routes of /policy."""

import asyncio
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.errors import Problem
from console.pages.frame import page
from console.pages.policy.choices import side_of, simulation_of, start_of, wished
from console.pages.policy.periods import NAMES, now, period_of, state_of
from console.pages.policy.simulation import answer_of, file_of
from console.pipeline.errors import cause_for
from console.pipeline.reading import Period, Reading, Readings, reader_of
from console.port.body import parse_object
from console.port.guard import caller_of
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.port.sessions import Sessions
from console.service import Service
from model.policies.verdict_columns import VerdictColumns
from schemas import Policy


def add(app: FastAPI, service: Service, sessions: Sessions | None) -> None:
    """Add the page."""
    if service.operations is not None:
        add_with(app, service, sessions, Readings(reader_of(service.operations.worker, service.bundle)))


def add_with(app: FastAPI, service: Service, sessions: Sessions | None, readings: Readings) -> None:
    """Add the page, with what reads verdicts."""
    service.at_end.append(readings.close)

    @app.get("/policy", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def policy_page(request: Request) -> Response:
        return page("policy.html", request, service, sessions, periods=NAMES)

    @app.get("/policy/start", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def start() -> Response:
        return Response(start_of(service).model_dump_json(), media_type="application/json")

    @app.post("/policy/verdicts", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def verdicts(request: Request) -> Response:
        document = await _document(request, service)
        reading = _reading(document, readings, again=document.get("again") is True)
        state = state_of(reading, service.bundle.digest)
        if "error" in state:
            state["error"] = cause_for(caller_of(request.scope).role, state["error"], "The verdicts could not be read")
        return JsonResponse(state)

    @app.post("/policy/simulate", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def simulate(request: Request) -> Response:
        document = await _document(request, service)
        new, against = wished(document), wished(document, "against")
        columns = _columns(_reading(document, readings))
        return JsonResponse(await asyncio.to_thread(_answer, service, new, against, columns))

    @app.post("/policy/file", include_in_schema=False, dependencies=[needs(Role.VIEWER)])
    async def file(request: Request) -> Response:
        document = await _document(request, service)
        policy, columns = wished(document), _columns(_reading(document, readings))
        return JsonResponse(await asyncio.to_thread(lambda: file_of(service, side_of(service, policy), columns)))


def _answer(service: Service, new: Policy, against: Policy, columns: VerdictColumns | None) -> dict[str, Any]:
    simulation = simulation_of(service, new, against)
    # It was named, so it is there.
    return answer_of(simulation, simulation.against or simulation.new, columns)


async def _document(request: Request, service: Service) -> dict[str, Any]:
    async with service.bodies.of(request) as raw:
        return parse_object(raw)


def _reading(document: dict[str, Any], readings: Readings, *, again: bool = False) -> Reading | None:
    name = document.get("period")
    if not isinstance(name, str) or name not in NAMES:
        raise Problem(
            HTTPStatus.BAD_REQUEST, "bad_period", f"period: expected one of {', '.join(NAMES)}", param="period"
        )
    return readings.of(name, partial(_period, name), again=again)


def _period(name: str) -> Period:
    return period_of(name, now())


def _columns(reading: Reading | None) -> VerdictColumns | None:
    return None if reading is None or reading.found is None else reading.found.columns
