"""Who may ask: Host, Origin, key and rate, before a byte of the body is read.

A web page can make its visitor's browser ask a port of their own machine, under a name that the page's owner made
resolve to it or as a form's post. So the Host must be one of the port's names, and an Origin the port's own or an
allowed one.
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from http import HTTPStatus
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import cookie_parser
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from console.errors import Problem
from console.port.keys import Caller, Keys
from console.port.problems import is_google, problem_response
from console.port.proxy import ProxyPeople
from console.port.rate import RateLimit
from console.port.roles import Role
from console.port.sessions import LOGIN_PATH, Sessions, cookie_name, is_open, is_page

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
        sessions: Logins of pages; None where none are served, or the port has none.
        people: Whom a proxy names to pages; None where none are served, or there is no such proxy.
        public_origin: The port's own as browsers see it, in lower case; None: what each request names.
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
        people: ProxyPeople | None = None,
        public_origin: str | None = None,
    ) -> None:
        self._app = app
        self._host_names = host_names
        self._origins = origins
        self._public_origin = public_origin
        self._keys = keys
        self._nobody = Caller("-", keyless_limit)
        # Whoever reaches a port without keys sits at the machine.
        self._local = Caller("local", keyless_limit, Role.ADMIN)
        self._sessions = sessions
        self._people = people
        self._has_logins = sessions is not None or people is not None

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
        own = {f"{_web(scope['scheme'])}://{host.lower()}", self._public_origin}
        self._check_origin(headers, own)
        caller = self._caller(scope, headers)
        if caller.login is not None and scope.get("method") not in _READING:
            _check_same_origin(headers, own)
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
        has_login = self._sessions is not None and is_page(scope["path"])
        if problem.status is HTTPStatus.UNAUTHORIZED and opens_page(scope) and has_login:
            return RedirectResponse(LOGIN_PATH, HTTPStatus.SEE_OTHER)
        return problem_response(problem, scope["path"])

    def _caller(self, scope: Scope, headers: Mapping[str, str]) -> Caller:
        if self._keys is None and not self._has_logins:
            return self._local
        if not (self._has_logins and is_page(scope["path"])):
            return self._with_key(scope, headers)
        if is_open(scope["path"]):
            return self._nobody
        return self._person(scope, headers) or self._with_key(scope, headers)

    def _person(self, scope: Scope, headers: Mapping[str, str]) -> Caller | None:
        """Return who has logged in, at the proxy or here; None for nobody."""
        if self._people is not None and (person := self._people.caller(scope)) is not None:
            return person
        if self._sessions is None:
            return None
        is_behind_tls = _web(scope["scheme"]) == "https" or (self._public_origin or "").startswith("https:")
        cookie = cookie_parser(headers.get("cookie", "")).get(cookie_name(is_behind_tls=is_behind_tls))
        return None if cookie is None else self._sessions.caller(cookie)

    def _check_host(self, host: str) -> None:
        name = _without_port(host.lower())
        if "*" not in self._host_names and name not in self._host_names:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "host_not_allowed",
                "the Host header is none of this port's names; expected one of them, or of CONSOLE_HTTP__ALLOWED_HOSTS",
            )

    def _check_origin(self, headers: Mapping[str, str], own: AbstractSet[str | None]) -> None:
        origin = headers.get("origin")
        if origin is None:
            # A browser leaves the origin out of a GET; what it says of the site that asks is there instead.
            is_foreign = headers.get("sec-fetch-site") in _FOREIGN_SITES
            is_foreign &= headers.get("sec-fetch-mode") != "navigate"
        else:
            is_foreign = origin.lower() not in own and origin.lower() not in self._origins
        if is_foreign:
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "origin_not_allowed",
                "a page of another origin asks; expected this port's own or one of CONSOLE_HTTP__ALLOWED_ORIGINS",
            )

    def _with_key(self, scope: Scope, headers: Mapping[str, str]) -> Caller:
        key = _key_of(scope, headers)
        caller = None if key is None or self._keys is None else self._keys.caller(key)
        if caller is None:
            found = "no API key" if key is None else "an API key that is not known here"
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "invalid_api_key",
                f"found {found}; expected Authorization: Bearer, x-goog-api-key, or ?key= under /v1alpha1",
            )
        return caller


def _check_same_origin(headers: Mapping[str, str], own: AbstractSet[str | None]) -> None:
    """Refuse a change that a page of another origin could have asked for with its visitor's login.

    Every browser that knows strict cookies names the origin of what is no reading. An allowed foreign origin asks with
    a key of its own.
    """
    site = headers.get("sec-fetch-site")
    if headers.get("origin", "").lower() not in own or site not in (None, "same-origin"):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "origin_not_allowed",
            "a change with a login that no page of this port asks for; expected its own Origin, or a key",
        )


def opens_page(scope: Scope) -> bool:
    """Say whether a browser asks for a page that a person will see, and not a script or a program for data."""
    return scope.get("method") == "GET" and "text/html" in _headers(scope).get("accept", "")


def caller_of(scope: Scope) -> Caller:
    """Return who asks; set by the guard."""
    caller: Caller = scope["state"]["caller"]
    return caller


def counted(scope: Scope) -> Caller:
    """Return who asks, and count the request as one conversation against their limit."""
    caller = caller_of(scope)
    if caller.limit is not None:
        caller.limit.spend(1)
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
