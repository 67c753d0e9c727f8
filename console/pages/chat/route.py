"""The routes of /chat: a viewer sees verdicts, a reviewer reads texts and decides."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar

import structlog
from fastapi import FastAPI, Request
from starlette.responses import Response

from console.errors import Problem
from console.operations import Operations
from console.pages.chat.changed import with_changes
from console.pages.chat.words import Words
from console.pages.frame import page
from console.pipeline.errors import PipelineAway, cause_for
from console.pipeline.history import Histories, shown_to
from console.pipeline.text import Texts, text_of
from console.port.body import parse_object
from console.port.guard import caller_of
from console.port.problems import JsonResponse
from console.port.roles import Role, may, needs
from console.port.sessions import Sessions
from console.port.threads import DATABASE, PIPELINE
from console.review.reveals import log_reveal
from console.service import Service
from console.store.store import StoreAway

_SEES: Final = [needs(Role.VIEWER)]
_DECIDES: Final = [needs(Role.REVIEWER)]
_MOST_ID_CHARACTERS: Final = 256
_MOST_TOPIC_CHARACTERS: Final = 249
_MOST_OUTCOMES: Final = 500
_WITHIN_S: Final = {"": 20.0, "long": 90.0}
"""How long a search goes on, by what the page asks for."""
_AT_ONCE: Final = 3
"""Searches at once: each reads a partition."""
_LARGEST_NUMBER: Final = 2**63 - 1

_Found = TypeVar("_Found")

log = structlog.get_logger()


def add(app: FastAPI, service: Service, sessions: Sessions | None) -> None:
    """Add the page, where a pipeline is followed."""
    operations = service.operations
    if operations is None or operations.histories is None or operations.texts is None:
        return
    words = Words(operations)
    searching = _Searching(operations.histories)
    reading = _Reading(operations, operations.texts)

    @app.get("/chat", include_in_schema=False, dependencies=_SEES)
    async def chat_page(request: Request) -> Response:
        role = caller_of(request.scope).role
        decides = may(role, Role.REVIEWER) and caller_of(request.scope).queues is None
        return page("chat.html", request, service, sessions, decides=decides, reasons=words.reasons)

    @app.get("/chat/history", include_in_schema=False, dependencies=_SEES)
    async def history(request: Request) -> Response:
        query = request.query_params
        chat_id, within_s = _chat_id(query.get("id")), _WITHIN_S.get(query.get("within", ""), 20.0)
        return JsonResponse(await searching.of(chat_id, within_s, caller_of(request.scope).role))

    @app.post("/chat/text", include_in_schema=False, dependencies=_DECIDES)
    async def text(request: Request) -> Response:
        actor = _reviewer(request)
        async with service.bodies.of(request) as raw:
            document = parse_object(raw)
        with _away_is_503(caller_of(request.scope).role):
            return JsonResponse(await reading.of(document, actor))

    @app.post("/chat/override", include_in_schema=False, dependencies=_DECIDES)
    async def override(request: Request) -> Response:
        return await _said(service, request, words.override)

    @app.post("/chat/clear", include_in_schema=False, dependencies=_DECIDES)
    async def clear(request: Request) -> Response:
        return await _said(service, request, words.clear)

    @app.post("/chat/report", include_in_schema=False, dependencies=_DECIDES)
    async def report(request: Request) -> Response:
        return await _said(service, request, words.report)

    @app.post("/chat/undo", include_in_schema=False, dependencies=_DECIDES)
    async def undo(request: Request) -> Response:
        return await _said(service, request, words.undo)

    @app.get("/chat/sent", include_in_schema=False, dependencies=_DECIDES)
    async def sent(request: Request) -> Response:
        actor, query = _reviewer(request), request.query_params
        return JsonResponse(
            await _in_thread(request, words.sent, query.get("decision_id", ""), query.get("kind", ""), actor)
        )


class _Searching:
    """Bounds how many chats are searched for at once; for one event loop."""

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._n = 0
        # Not asyncio's own threads: the end of the process would wait for these before it tells them to stop.
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="chat-history")

    async def of(self, chat_id: str, within_s: float, role: Role) -> dict[str, Any]:
        """Return the history of a chat, as a role may read it; raises Problem (429, 503)."""
        if self._n >= _AT_ONCE:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "too_many_searches",
                f"{_AT_ONCE} chats are being searched for; ask again after the seconds of retry-after",
                retry_after_s=2,
            )
        self._n += 1
        try:
            with _away_is_503(role):
                found = await asyncio.get_running_loop().run_in_executor(
                    self._threads, partial(self._histories.of, chat_id, limit=_MOST_OUTCOMES, within_s=within_s)
                )
        finally:
            self._n -= 1
        return shown_to(role, found) | {"outcomes": with_changes(found["outcomes"])}


class _Reading:
    """Shows texts, and logs that before."""

    def __init__(self, operations: Operations, texts: Texts) -> None:
        self._store = operations.store
        self._texts = texts
        self._hash_of = operations.hash_of

    async def of(self, document: Mapping[str, Any], actor: str) -> dict[str, Any]:
        """Return the text of one event; `turns` is null where retention took it.

        Raises:
            Problem: 400.
            StoreAway: the reveal could not be logged; nothing is shown.
            PipelineAway: the text could not be read.
        """
        chat_id, topic = _chat_id(document.get("chat_id")), document.get("topic")
        if not isinstance(topic, str) or not 0 < len(topic) <= _MOST_TOPIC_CHARACTERS:
            raise _refused("topic", "expected the name of a topic")
        partition, offset = (_number(document, name) for name in ("partition", "offset"))
        await DATABASE.call(self._log, actor, chat_id, topic, partition, offset)
        found = await text_of(self._texts, topic, partition, offset, chat_id)
        if found is None:
            return {"turns": None, "deciding": None, "is_same": None}
        wanted = document.get("fingerprint")
        return {
            "turns": [{"role": turn.role.value, "text": turn.text} for turn in found.turns],
            "deciding": found.is_deciding,
            "is_same": wanted == found.fingerprint if isinstance(wanted, str) else None,
        }

    def _log(self, actor: str, chat_id: str, topic: str, partition: int, offset: int) -> None:
        with self._store.writing() as connection:
            log_reveal(connection, actor, None, self._hash_of(chat_id), topic, partition, offset)


async def _said(service: Service, request: Request, say: Callable[[dict[str, Any], str], dict[str, Any]]) -> Response:
    actor = _reviewer(request)
    async with service.bodies.of(request) as raw:
        document = parse_object(raw)
    return JsonResponse(await _in_thread(request, say, document, actor))


def _reviewer(request: Request) -> str:
    caller = caller_of(request.scope)
    if caller.queues is not None:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "role_needed",
            "your login is for some queues alone, and here every chat could be read and decided on; expected a "
            "reviewer of all queues; the page Review has the items of yours",
        )
    return caller.name


async def _in_thread(request: Request, call: Callable[..., _Found], *arguments: Any) -> _Found:
    with _away_is_503(caller_of(request.scope).role):
        return await PIPELINE.call(call, *arguments)


@contextmanager
def _away_is_503(role: Role) -> Iterator[None]:
    try:
        yield
    except PipelineAway as away:
        log.warning("pipeline_away", error=str(away))
        message = cause_for(role, str(away), "Kafka cannot be read")
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "pipeline_away", message) from away
    except StoreAway as away:
        message = f"the database does not answer ({away}); nothing was written; ask again"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "store_away", message) from away


def _chat_id(found: object) -> str:
    if not isinstance(found, str) or not 0 < len(found) <= _MOST_ID_CHARACTERS:
        raise _refused("id", f"expected a chat_id of 1 to {_MOST_ID_CHARACTERS} characters")
    return found


def _number(document: Mapping[str, Any], name: str) -> int:
    found = document.get(name)
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found <= _LARGEST_NUMBER:
        raise _refused(name, "expected a whole number, 0 or more")
    return found


def _refused(param: str, message: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "schema_error", f"{param}: {message}", param=param)
