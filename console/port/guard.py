"""Who may ask: Host, Origin, key and rate, before a byte of the body is read.

A web page can make its visitor's browser ask a port of their own machine, under a name that the page's owner made
resolve to it or as a form's post. So the Host must be one of the port's names, and an Origin the port's own or an
allowed one.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from console.errors import Problem
from console.port.keys import Caller, Keys
from console.port.problems import is_google, problem_response
from console.port.rate import RateLimit
from console.port.roles import Role
from console.port.sessions import COOKIE, LOGIN_PATH, Sessions, is_open, is_page

PROBES: Final = frozenset({"/livez", "/readyz"})
"""Asked by orchestrators, under whatever name and without a key; they say nothing but whether all is well."""

_READING: Final = frozenset({"GET", "HEAD"})
_FOREIGN_SITES: Final = frozenset({"cross-site", "same-site"})


class Guard:
    """ASGI middleware that answers what may not be asked, and names the caller to what follows (`caller_of`).

    Args:
        app: What follows.
        host_names: Names that Host may have; `*` for any.
        origins: Foreign origins that may ask.
        keys: Keys of which one is needed; None asks for none.
        keyless_limit: Rate limit of a port without keys.
        sessions: Logins of pages; None where none are served.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        host_names: frozenset[str],
        origins: frozenset[str] = frozenset(),
        keys: Keys | None = None,
        keyless_limit: RateLimit | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self._app = app
        self._host_names = host_names
        self._origins = origins
        self._keys = keys
        self._nobody = Caller("-", keyless_limit)
        # Whoever reaches a port without keys sits at the machine.
        self._local = Caller("local", keyless_limit, Role.ADMIN)
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through to what follows, or answer it."""
        if scope["type"] == "lifespan" or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        try:
            caller = self._admitted(scope)
        except Problem as problem:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await self._refusal(problem, scope)(scope, receive, send)
            return
        scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, send)

    def _admitted(self, scope: Scope) -> Caller:
        headers = _headers(scope)
        host = headers.get("host", "")
        self._check_host(host)
        self._check_origin(headers, f"{_web(scope['scheme'])}://{host.lower()}")
        caller = self._caller(scope, headers)
        scope.setdefault("state", {})["caller"] = caller
        if caller.limit is not None and (wait_s := caller.limit.wait_s()):
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "rate_limit_exceeded",
                "more conversations per second than this key may ask about; ask again after the seconds of retry-after",
                retry_after_s=wait_s,
            )
        return caller

    def _refusal(self, problem: Problem, scope: Scope) -> Response:
        is_of_a_person = "text/html" in _headers(scope).get("accept", "") and scope.get("method") == "GET"
        if problem.status is HTTPStatus.UNAUTHORIZED and is_of_a_person and self._is_page(scope):
            return RedirectResponse(LOGIN_PATH, HTTPStatus.SEE_OTHER)
        return problem_response(problem, scope["path"])

    def _is_page(self, scope: Scope) -> bool:
        return self._sessions is not None and is_page(scope["path"])

    def _caller(self, scope: Scope, headers: Mapping[str, str]) -> Caller:
        if self._keys is None:
            return self._local
        if self._is_page(scope) and is_open(scope["path"]):
            return self._nobody
        cookie = cookie_parser(headers.get("cookie", "")).get(COOKIE)
        if self._sessions is None or cookie is None or not self._is_page(scope):
            return self._with_key(self._keys, scope, headers)
        caller = self._sessions.caller(cookie)
        if caller is None:
            return self._with_key(self._keys, scope, headers)
        if scope.get("method") not in _READING and "origin" not in headers:
            # The cookie is Strict; every browser that knows it names the origin of what is no reading.
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "origin_not_allowed",
                "a request with a login and without an Origin; expected one of this port's own page, or a key",
            )
        return caller

    def _check_host(self, host: str) -> None:
        name = _without_port(host.lower())
        if "*" not in self._host_names and name not in self._host_names:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "host_not_allowed",
                "the Host header is none of this port's names; expected one of them, or of CONSOLE_HTTP__ALLOWED_HOSTS",
            )

    def _check_origin(self, headers: Mapping[str, str], own: str) -> None:
        origin = headers.get("origin")
        if origin is None:
            # A browser leaves the origin out of a GET; what it says of the site that asks is there instead.
            is_foreign = headers.get("sec-fetch-site") in _FOREIGN_SITES
            is_foreign &= headers.get("sec-fetch-mode") != "navigate"
        else:
            is_foreign = origin.lower() != own and origin.lower() not in self._origins
        if is_foreign:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "origin_not_allowed",
                "a page of another origin asks; expected this port's own or one of CONSOLE_HTTP__ALLOWED_ORIGINS",
            )

    @staticmethod
    def _with_key(keys: Keys, scope: Scope, headers: Mapping[str, str]) -> Caller:
        key = _key_of(scope, headers)
        caller = None if key is None else keys.caller(key)
        if caller is None:
            found = "no API key" if key is None else "an API key that is not known here"
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "invalid_api_key",
                f"found {found}; expected Authorization: Bearer, x-goog-api-key, or ?key= under /v1alpha1",
            )
        return caller


def caller_of(scope: Scope) -> Caller:
    """Return who asks; set by the guard."""
    caller: Caller = scope["state"]["caller"]
    return caller


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _key_of(scope: Scope, headers: Mapping[str, str]) -> str | None:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if (key := headers.get("x-goog-api-key")) is not None:
        return key
    if is_google(scope["path"]):
        found = parse_qs(scope["query_string"].decode("latin-1")).get("key")
        return found[0] if found else None
    return None


def _web(scheme: str) -> str:
    return {"ws": "http", "wss": "https"}.get(scheme, scheme)


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and (port.isdecimal() or not port) and (":" not in name or name.endswith("]")) else host
