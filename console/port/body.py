"""The body of a request: bytes within bounds, then JSON in one strict reading.

Invariants: bodies in hand never pass the bound on all of them together, and no error text holds text of a body.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Final

import jiter
from starlette.requests import ClientDisconnect, Request

from console.errors import Problem
from console.settings.http import HttpSettings
from schemas.record_cost import n_values

MAX_VALUES: Final = 300_000
"""JSON values of one body: 256 conversations of nearly 400 messages each."""
_HELD_RETRY_S: Final = 1
_DIGITS: Final = 18


class Bodies:
    """Reads bodies; for one event loop.

    Args:
        settings: Bounds.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._settings = settings
        self.held_bytes = 0
        """Of all requests in hand."""

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[bytes]:
        """Give the body of a request; its bytes count as held until the context ends.

        Raises:
            Problem: 408, 413, 415, or 429 where too many bytes are held.
        """
        _check_content_type(request)
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and (len(announced) > _DIGITS or int(announced) > self._settings.max_body_bytes):
            raise self._too_large()
        held = _Held(self)
        try:
            try:
                async with asyncio.timeout(self._settings.body_timeout_s):
                    raw = await self._read(request, held)
            except TimeoutError:
                raise Problem(
                    HTTPStatus.REQUEST_TIMEOUT,
                    "body_timeout",
                    f"the body did not arrive within {self._settings.body_timeout_s:g} s; send it at once",
                ) from None
            yield raw
        finally:
            held.release()

    async def _read(self, request: Request, held: "_Held") -> bytes:
        chunks = []
        try:
            async for chunk in request.stream():
                held.take(len(chunk))
                if held.n_bytes > self._settings.max_body_bytes:
                    raise self._too_large()
                if self.held_bytes > self._settings.max_held_bytes:
                    raise Problem(
                        HTTPStatus.TOO_MANY_REQUESTS,
                        "too_many_bytes",
                        "the bodies of all requests in hand are too large together; ask again after retry-after",
                        retry_after_s=_HELD_RETRY_S,
                    )
                chunks.append(chunk)
        except ClientDisconnect:
            raise Problem(HTTPStatus.BAD_REQUEST, "body_cut", "the connection ended before the body did") from None
        return b"".join(chunks)

    def _too_large(self) -> Problem:
        return Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"the body has more than {self._settings.max_body_bytes} bytes (CONSOLE_HTTP__MAX_BODY_BYTES); send less",
            reason="COMMENT_TOO_LONG",
        )


class _Held:
    """The bytes of one request within those of all."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self.n_bytes = 0

    def take(self, n_bytes: int) -> None:
        self.n_bytes += n_bytes
        self._bodies.held_bytes += n_bytes

    def release(self) -> None:
        self._bodies.held_bytes -= self.n_bytes
        self.n_bytes = 0


def _check_content_type(request: Request) -> None:
    # A page of another site may post forms and plain text without asking; JSON it may not.
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "expected Content-Type: application/json",
        )


def parse_object(raw: bytes) -> dict[str, Any]:
    """Return the JSON object in a body; read as strictly as the worker reads records.

    Raises:
        Problem: 400 or 413.
    """
    if len(raw) > MAX_VALUES and n_values(raw, enough=MAX_VALUES) > MAX_VALUES:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"the body has more than {MAX_VALUES} JSON values; send fewer",
        )
    try:
        document = jiter.from_json(raw, allow_inf_nan=False, catch_duplicate_keys=True, cache_mode="keys")
    except ValueError as error:
        # The parser quotes a duplicate key, which is text of the request.
        problem = "duplicate key" if str(error).startswith("Detected duplicate key") else str(error)
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "decode_error",
            f"not well-formed JSON in UTF-8: {problem}; expected one JSON object"[:300],
        ) from None
    if not isinstance(document, dict):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "decode_error",
            f"the JSON value is a {type(document).__name__}; expected an object",
        )
    return document
