"""What is known of every request afterwards: an id, one line of log, metrics, and no copy in any cache.

Invariant: neither query nor path is logged, only the route that matched: the one holds a key, the other may hold a
chat_id.
"""

import re
import secrets
import time
from http import HTTPStatus
from typing import Final

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.metrics import Metrics
from console.port.guard import PROBES

STATIC_ROUTE: Final = "/static/{path:path}"
"""Scripts and styles of the pages."""
PERSON: Final = "(person)"
"""In metrics, of everybody who has logged in."""
_POLLS: Final = frozenset({"/live/newest", "/live/figures", "/live/state", "/chat/sent"})
"""Asked each second by every open page."""
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{8,64}")
_HEADERS: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}

log = structlog.get_logger()


class Observe:
    """ASGI middleware around all others."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {}).update(request_id=request_id, started_s=started)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        finally:
            self._note(scope, request_id, status, time.perf_counter() - started)

    def _note(self, scope: Scope, request_id: str, status: int, took_s: float) -> None:
        route = getattr(scope.get("route"), "path", "none")
        state = scope["state"]
        key = state["caller"].name if "caller" in state else "-"
        # A person's name is no label: there may be many, and a proxy names anybody.
        is_person = "caller" in state and state["caller"].login is not None
        label = PERSON if is_person else key
        self._metrics.requests.labels(route=route, status=str(status), key=label).inc()
        self._metrics.seconds.labels(route=route).observe(took_s)
        # Probes come every few seconds, files a dozen at once. A poll that is refused is worth a line.
        is_usual = route in PROBES or route == STATIC_ROUTE or (route in _POLLS and status == HTTPStatus.OK)
        write = log.debug if is_usual else log.info
        write(
            "request_done",
            request_id=request_id,
            method=scope["method"] if scope["method"].isalpha() else "none",
            route=route,
            status=status,
            key=key,
            n_conversations=state.get("n_conversations", 0),
            total_ms=round(took_s * 1_000, 1),
        )


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and (found := _REQUEST_ID.fullmatch(value.decode("latin-1"))):
            return found.group()
    return secrets.token_hex(16)
