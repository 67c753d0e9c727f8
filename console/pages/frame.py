"""What all pages share: templates under a strict content policy, static files, the login.

Invariant: no page holds a script or a style of its own, and no script writes markup, so that text of a request is
never executed. The policy makes the browser hold it, too.
"""

from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

from fastapi import FastAPI, Request
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from console.errors import Problem
from console.port.address import client_of
from console.port.body import Bodies, parse_object
from console.port.guard import caller_of, opens_page
from console.port.logins import Logins
from console.port.observe import STATIC_ROUTE
from console.port.problems import problem_response
from console.port.roles import Role, RoleNeeded, may, needs
from console.port.sessions import LASTS_S, LOGIN_PATH, Sessions, cookie_name
from console.service import Service
from console.store.login_attempts import StoredAttempts

HOME: Final = "/try"
LOGOUT_PATH: Final = "/login/out"
CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)

_LOGIN_BYTES: Final = 4_000
_OF_ALL: Final = [needs(Role.CLIENT)]
_HERE: Final = Path(__file__).parent
_TEMPLATES: Final = Environment(
    loader=PackageLoader("console.pages"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


class Tab(NamedTuple):
    """A page that the header names."""

    title: str
    path: str
    needs: Role


TABS: Final = (
    Tab("Live", "/live", Role.VIEWER),
    Tab("Review", "/review", Role.REVIEWER),
    Tab("Chat", "/chat", Role.VIEWER),
    Tab("Policy", "/policy", Role.VIEWER),
    Tab("Model", "/model", Role.VIEWER),
)
"""Where a pipeline is followed."""
_TRY: Final = Tab("Try", HOME, Role.CLIENT)


def page(template: str, request: Request, service: Service, sessions: Sessions | None, **values: Any) -> HTMLResponse:
    """Return a page.

    Args:
        template: Its file in templates/.
        request: Who asks for which path: the header shows what their role may open.
        service: What answers.
        sessions: Logins; None where the port has none.
        values: What the template names besides.
    """
    caller = caller_of(request.scope)
    tabs = () if service.operations is None else TABS
    written = _TEMPLATES.get_template(template).render(
        tabs=[tab for tab in (*tabs, _TRY) if may(caller.role, tab.needs)],
        path=request.scope["path"],
        policies_refused=_refused_to(caller.role, service),
        default_policy=service.writer.policy.name,
        person=caller.name,
        role=caller.role.value,
        # At the proxy whoever came by it logs out, where it has a page for that.
        logs_out_here=sessions is not None and caller.login == "cookie",
        logout_url=service.settings.proxy.logout_url if caller.login == "proxy" else None,
        **values,
    )
    return HTMLResponse(written, headers={"content-security-policy": CONTENT_POLICY})


def _refused_to(role: Role, service: Service) -> Sequence[tuple[str, str]]:
    """Return the policy files that are refused, with what is wrong for admins alone: it names folders."""
    if not may(role, Role.VIEWER):
        return ()
    return [(name, why if may(role, Role.ADMIN) else "") for name, why in service.policies_refused.items()]


def add(app: FastAPI, service: Service, sessions: Sessions | None) -> None:
    """Add what all pages share."""
    files = StaticFiles(directory=_HERE / "static")

    # A route and no mount, so that logs and metrics name it.
    @app.get(STATIC_ROUTE, include_in_schema=False, dependencies=_OF_ALL)
    async def static(path: str, request: Request) -> Response:
        return await files.get_response(path, request.scope)

    @app.get("/", include_in_schema=False, dependencies=_OF_ALL)
    async def home(request: Request) -> Response:
        sees_verdicts = service.operations is not None and may(caller_of(request.scope).role, Role.VIEWER)
        return RedirectResponse(TABS[0].path if sees_verdicts else HOME)

    @app.get(LOGIN_PATH, include_in_schema=False, dependencies=_OF_ALL)
    async def login_page(request: Request) -> Response:
        if sessions is None:
            return RedirectResponse(HOME)
        has = {"has_users": sessions.users is not None, "has_keys": sessions.keys is not None}
        return page("login.html", request, service, sessions, **has)

    async def on_role_needed(request: Request, refused: Exception) -> Response:
        if not isinstance(refused, RoleNeeded):
            raise refused
        if not opens_page(request.scope):
            return problem_response(refused, request.scope["path"])
        written = page("role_needed.html", request, service, sessions, needed=refused.needed.value)
        written.status_code = refused.status
        return written

    app.add_exception_handler(RoleNeeded, on_role_needed)
    if sessions is not None:
        _add_login(app, service, sessions)


def _add_login(app: FastAPI, service: Service, sessions: Sessions) -> None:
    # Whoever has no key yet may not fill the memory that is for bodies of those who have.
    bounds = {"max_body_bytes": _LOGIN_BYTES, "max_held_bytes": 250 * _LOGIN_BYTES}
    bodies = Bodies(service.settings.http.model_copy(update=bounds))
    refused = service.metrics.logins_refused
    forwarders = service.settings.http.forwarders
    shared = None if service.operations is None else StoredAttempts(service.operations.store)
    logins = Logins(sessions, on_refused=lambda reason: refused.labels(reason=reason).inc(), shared=shared)

    @app.post(LOGIN_PATH, include_in_schema=False, dependencies=_OF_ALL)
    async def login(request: Request) -> Response:
        async with bodies.of(request) as raw:
            document = parse_object(raw)
        address = client_of(request.scope, forwarders)
        match document:
            case {"name": str(name), "password": str(password)}:
                cookie = await logins.with_password(name, password, address)
            case {"key": str(key)}:
                cookie = await logins.with_key(key, address)
            case _:
                raise Problem(
                    HTTPStatus.BAD_REQUEST,
                    "schema_error",
                    "expected an object with the texts name and password, or with the text key",
                )
        answer = Response(status_code=HTTPStatus.NO_CONTENT)
        _set_cookie(answer, request, service, cookie, LASTS_S)
        return answer

    @app.post(LOGOUT_PATH, include_in_schema=False, dependencies=_OF_ALL)
    async def logout(request: Request) -> Response:
        answer = Response(status_code=HTTPStatus.NO_CONTENT)
        _set_cookie(answer, request, service, "", 0)
        return answer


def _set_cookie(answer: Response, request: Request, service: Service, value: str, lasts_s: int) -> None:
    is_secure = request.url.scheme == "https" or (service.settings.http.public_url or "").lower().startswith("https:")
    answer.set_cookie(
        cookie_name(is_behind_tls=is_secure),
        value,
        max_age=lasts_s,
        path="/",
        secure=is_secure,
        httponly=True,
        samesite="strict",
    )
