"""The routes of /live. All that they answer with is in memory, so a poll costs no question to Kafka."""

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from starlette.responses import Response

from console.errors import Problem
from console.pages.frame import page
from console.pipeline.errors import cause_for
from console.pipeline.live.board import Wanted
from console.port.guard import caller_of
from console.port.problems import JsonResponse
from console.port.roles import Role, needs
from console.port.sessions import Sessions
from console.service import Service
from schemas import DecidedBy, Decision

_NEEDS: Final = [needs(Role.VIEWER)]
_MOST_CHARACTERS: Final = 256
_NO_LANGUAGE: Final = "-"
_MOST_CURSORS: Final = 400
"""Characters of cursors: those of a dozen consoles."""


def add(app: FastAPI, service: Service, sessions: Sessions | None) -> None:
    """Add the page, where a pipeline is followed."""
    operations = service.operations
    if operations is None or operations.live is None or operations.states is None:
        return
    live, states = operations.live, operations.states

    @app.get("/live", include_in_schema=False, dependencies=_NEEDS)
    async def live_page(request: Request) -> Response:
        decisions, reasons = [one.value for one in Decision], [one.value for one in DecidedBy]
        return page("live.html", request, service, sessions, decisions=decisions, reasons=reasons)

    @app.get("/live/newest", include_in_schema=False, dependencies=_NEEDS)
    async def newest(request: Request) -> Response:
        cursors = request.query_params.get("after", "")[:_MOST_CURSORS]
        wanted = wanted_of(request.query_params)
        # Filters look at thousands of rows, in which others are to be answered.
        found = await asyncio.to_thread(live.newest, cursors, wanted)
        return JsonResponse(
            {
                "rows": [row.document(wanted.policy) for row in found.rows],
                "n_left_out": found.n_left_out,
                "n_lost": found.n_lost,
                "cursor": found.cursor,
            }
        )

    @app.get("/live/figures", include_in_schema=False, dependencies=_NEEDS)
    async def figures(request: Request) -> Response:
        found = await asyncio.to_thread(live.figures)
        if found["fault"] is not None:
            found["fault"] = cause_for(caller_of(request.scope).role, found["fault"], "Kafka cannot be read")
        return JsonResponse(found)

    @app.get("/live/state", include_in_schema=False, dependencies=_NEEDS)
    async def state(request: Request) -> Response:
        role, found = caller_of(request.scope).role, {name: one.document() for name, one in states.now().items()}
        for name, one in found.items():
            if one["error"] is not None:
                one["error"] = cause_for(role, one["error"], f"{name} cannot be used")
        return JsonResponse(found)


def wanted_of(query: Mapping[str, str]) -> Wanted:
    """Return the filter of a request; raises Problem (400) where a value cannot be one."""
    given = {name: query.get(name, "") for name in ("decision", "category", "policy", "decided_by", "language", "chat")}
    for name, value in given.items():
        if len(value) > _MOST_CHARACTERS:
            raise _refused(name, f"found {len(value)} characters; expected at most {_MOST_CHARACTERS}")
    if given["decision"] and given["decision"] not in {one.value for one in Decision}:
        raise _refused("decision", "expected allow, review or block")
    if given["decided_by"] and given["decided_by"] not in {one.value for one in DecidedBy}:
        raise _refused("decided_by", f"expected one of {', '.join(one.value for one in DecidedBy)}")
    language = "" if given["language"] == _NO_LANGUAGE else given["language"] or None
    return Wanted(**{name: value or None for name, value in given.items() if name != "language"}, language=language)


def _refused(param: str, message: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "schema_error", f"{param}: {message}", param=param)
