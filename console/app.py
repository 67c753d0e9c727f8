"""Put the application together: the APIs, and around them what keeps the port safe."""

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from console import appeals, classify, feedback, health, moderations, overrides, perspective, reviews, verdicts
from console.errors import Problem
from console.openapi import description_of
from console.pipeline.errors import PipelineAway
from console.port.guard import Guard
from console.port.keys import Keys, limit_of
from console.port.observe import Observe
from console.port.problems import problem_response
from console.port.proxy import ProxyPeople
from console.port.sessions import Sessions
from console.service import DEADLINE_HEADER, MODEL_HEADER, Service
from console.store.store import StoreAway, StoreRefused

log = structlog.get_logger()

AddPages = Callable[[FastAPI, Service, Sessions | None], None]
"""Adds pages to the application, with the logins of a port that has them; left out with `--api-only`."""

_HEADERS_OF_PAGES: Final = ["authorization", "content-type", "x-goog-api-key", "x-request-id", DEADLINE_HEADER]
"""What a page of an allowed origin may send."""
_AWAY_RETRY_S: Final = 5
_DESCRIPTION: Final = "Conversations in, calibrated verdicts out: the worker's classifier, asked directly."


def make_api(service: Service, pages: Iterable[AddPages] = (), sessions: Sessions | None = None) -> FastAPI:
    """Return the application without what keeps the port safe.

    Args:
        service: What answers.
        pages: What is served besides the API.
        sessions: Logins of the pages.
    """
    # The pages that FastAPI would serve of the description load scripts from elsewhere.
    app = FastAPI(title="verdictstream", version="1", description=_DESCRIPTION, docs_url=None, redoc_url=None)
    for add_pages in pages:
        add_pages(app, service, sessions)
    app.include_router(classify.router_of(service))
    app.include_router(moderations.router_of(service))
    app.include_router(perspective.router_of(service))
    app.include_router(verdicts.router_of(service))
    app.include_router(feedback.router_of(service))
    app.include_router(overrides.router_of(service))
    app.include_router(appeals.router_of(service))
    app.include_router(reviews.router_of(service))
    app.include_router(health.router_of(service))
    app.openapi = lambda: description_of(app)  # type: ignore[method-assign]
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(StoreAway, _on_store_away)
    app.add_exception_handler(StoreRefused, _on_store_refused)
    app.add_exception_handler(PipelineAway, _on_pipeline_away)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(Exception, _on_unexpected)
    return app


def make_app(
    service: Service,
    keys: Keys | None,
    pages: Sequence[AddPages] = (),
    sessions: Sessions | None = None,
    people: ProxyPeople | None = None,
) -> ASGIApp:
    """Return the application as it is served.

    Args:
        service: What answers.
        keys: API keys; None where the port needs none.
        pages: What is served besides the API.
        sessions: Logins of the pages, on a port with keys or users.
        people: Whom a proxy names.
    """
    http = service.settings.http
    app: ASGIApp = Guard(
        make_api(service, pages, sessions),
        host_names=http.host_names,
        origins=http.origins,
        public_origin=None if http.public_url is None else http.public_url.lower(),
        keys=keys,
        keyless_limit=limit_of(http.conversations_per_s),
        sessions=sessions if pages else None,
        people=people if pages else None,
    )
    if http.origins:
        # Around the guard: a browser asks for leave without a key.
        app = CORSMiddleware(
            app,
            allow_origins=sorted(http.origins),
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=_HEADERS_OF_PAGES,
            expose_headers=["retry-after", "x-request-id", MODEL_HEADER],
        )
    return Observe(app, service.metrics)


async def _on_problem(request: Request, problem: Exception) -> Response:
    if not isinstance(problem, Problem):
        raise problem
    return problem_response(problem, request.scope["path"])


async def _on_store_away(request: Request, error: Exception) -> Response:
    message = f"the database does not answer ({error}); nothing was written; ask again after retry-after"
    problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "store_away", message, retry_after_s=_AWAY_RETRY_S)
    return problem_response(problem, request.scope["path"])


async def _on_store_refused(request: Request, _error: Exception) -> Response:
    message = "a value is too long for the database, or holds a NUL character; nothing was written; send it without"
    return problem_response(Problem(HTTPStatus.BAD_REQUEST, "invalid_input", message), request.scope["path"])


async def _on_pipeline_away(request: Request, error: Exception) -> Response:
    # Its text names addresses of the cluster, which are for the log.
    log.warning("pipeline_away", error=str(error))
    message = "Kafka or Redis does not answer; nothing was written; ask again after retry-after; the log says more"
    problem = Problem(HTTPStatus.SERVICE_UNAVAILABLE, "pipeline_away", message, retry_after_s=_AWAY_RETRY_S)
    return problem_response(problem, request.scope["path"])


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """Answer what the router refuses: an unknown path or method."""
    status = HTTPStatus(error.status_code) if isinstance(error, HTTPException) else HTTPStatus.INTERNAL_SERVER_ERROR
    known = "/v1/classify, /v1/moderations, /v1alpha1/comments:analyze"
    messages = {
        HTTPStatus.NOT_FOUND: ("not_found", f"no such path; expected one of {known}; /openapi.json has all"),
        HTTPStatus.METHOD_NOT_ALLOWED: ("method_not_allowed", "this path does not take this method; see /openapi.json"),
    }
    code, message = messages.get(status, (status.phrase.lower().replace(" ", "_"), status.phrase))
    return problem_response(Problem(status, code, message), request.scope["path"])


async def _on_unexpected(request: Request, _error: Exception) -> Response:
    """Answer without a word of what went wrong: the log has it."""
    problem = Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal_error", "this is a fault of the service; see its log")
    return problem_response(problem, request.scope["path"])
